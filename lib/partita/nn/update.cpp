// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/update.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/statistics.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::nn {
namespace {

template <class T>
Vector<T> subrange(const Vector<T>& of, index_t first, index_t extent) {
  return {of.data() + first, static_cast<std::size_t>(extent)};
}

}  // namespace

template <class Scalar>
Update<Scalar>::Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model)
    : Update(exec, options, model, everything(model.table()), model.parameters()) {}

template <class Scalar>
Update<Scalar>::Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model,
                       const Ownership& ownership, Vector<Scalar> weights, CompleteSquares complete)
    : options_(options),
      complete_(std::move(complete)),
      weights_(weights),
      running_(model.running()),
      state_("partita::nn::Update::state"),
      loss_scale_("partita::nn::Update::loss_scale"),
      owned_(ownership.ranges),
      sum_("partita::nn::Update::sum"),
      not_finite_("partita::nn::Update::not_finite") {
  // Without a loss that is scaled there is nothing to learn of a step but whether to skip it.
  if (!scales_loss) options_.loss_scale = {.initial = 1, .growth_factor = 1, .backoff_factor = 1};
  Kokkos::deep_copy(exec, not_finite_, index_t{-1});
  const std::vector<kernels::NormCell> cells = norm_cells(model.table());
  squares_ = Vector<double>("partita::nn::Update::squares", cells.size());
  plan(ownership, cells);
  const auto n = static_cast<std::size_t>(ownership.size());
  if (kernels::optimizer_needs_m(options.optimizer)) m_ = Vector<Sum<Scalar>>("partita::nn::Update::m", n);
  if (kernels::optimizer_needs_v(options.optimizer)) v_ = Vector<Sum<Scalar>>("partita::nn::Update::v", n);
  if constexpr (has_master) {
    master_ = Vector<Sum<Scalar>>("partita::nn::Update::master", n);
    for (const Part& part : parts_)
      kernels::cast<Sum<Scalar>, Scalar>(exec, subrange(weights_, part.weights, part.extent),
                                         subrange(master_, part.state, part.extent));
  }
  kernels::loss_scale_start(exec, options_.loss_scale, loss_scale_);
  set_learning_rate(exec, options_.learning_rate);
}

template <class Scalar>
void Update<Scalar>::set_learning_rate(const Exec& exec, double rate) const {
  kernels::optimizer_set_learning_rate(exec, rate, state_);
}

template <class Scalar>
template <class F>
void Update<Scalar>::for_each_owned(Range range, F f) const {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const index_t first = std::max(range.offset, owned_[p].offset), end = std::min(range.end(), owned_[p].end());
    if (first >= end) continue;
    const index_t within = first - owned_[p].offset;
    f(Range{first, end - first}, parts_[p].weights + within, parts_[p].state + within);
  }
}

template <class Scalar>
Vector<Sum<Scalar>> Update<Scalar>::buffer(Kept what) const {
  return what == Kept::weights ? master_ : what == Kept::m ? m_ : v_;
}

bool keeps(const kernels::OptimizerOptions& rule, Kept what) {
  if (what == Kept::weights) return true;
  return what == Kept::m ? kernels::optimizer_needs_m(rule) : kernels::optimizer_needs_v(rule);
}

template <class Scalar>
void Update<Scalar>::set(const Exec& exec, Kept what, Range range, ConstVector<Sum<Scalar>> values) const {
  if (static_cast<index_t>(values.extent(0)) != range.extent)
    refuse<ShapeError>("Update", fmt::format("{} values of {} weights", values.extent(0), range.extent), "the same");
  const Vector<Sum<Scalar>> kept = buffer(what);
  for_each_owned(range, [&](Range owned, index_t weights, index_t state) {
    const ConstVector<Sum<Scalar>> given = subrange(values, owned.offset - range.offset, owned.extent);
    if (what == Kept::weights)
      kernels::cast<Scalar, Sum<Scalar>>(exec, given, subrange(weights_, weights, owned.extent));
    if (kept.extent(0) > 0) Kokkos::deep_copy(exec, subrange(kept, state, owned.extent), given);
  });
}

template <class Scalar>
std::vector<Sum<Scalar>> Update<Scalar>::get(const Exec& exec, Kept what, Range range) const {
  std::vector<Sum<Scalar>> values;
  const auto append = [&](const auto& from) {
    const std::size_t at = values.size(), n = from.extent(0);
    values.resize(at + n);
    Kokkos::deep_copy(exec, Kokkos::View<Sum<Scalar>*, Kokkos::HostSpace>(values.data() + at, n), from);
  };
  const Vector<Sum<Scalar>> kept = buffer(what);
  for_each_owned(range, [&](Range owned, index_t weights, index_t state) {
    if (kept.extent(0) > 0) return append(subrange(kept, state, owned.extent));
    if constexpr (!has_master)
      if (what == Kept::weights) append(subrange(weights_, weights, owned.extent));
  });
  exec.fence("partita::nn::Update: what is kept is on the host");
  return values;
}

template <class Scalar>
void Update<Scalar>::set_counters(const Exec& exec, const UpdateCounters& counters) const {
  const auto state = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), state_);
  state().step = counters.step;
  Kokkos::deep_copy(exec, state_, state);
  Kokkos::deep_copy(exec, loss_scale_,
                    Kokkos::View<const kernels::LossScaleState, Kokkos::HostSpace>(&counters.loss_scale));
  exec.fence("partita::nn::Update: counters are set from memory that goes");
}

template <class Scalar>
UpdateCounters Update<Scalar>::counters(const Exec& exec) const {
  exec.fence("partita::nn::Update: counters are read");
  return {Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), state_)().step,
          Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), loss_scale_)()};
}

template <class Scalar>
index_t Update<Scalar>::not_finite(const Exec& exec) const {
  exec.fence("partita::nn::Update: a cell that is not finite is read");
  return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), not_finite_)();
}

template <class Scalar>
Kokkos::View<const double, Memory> Update<Scalar>::loss_scale() const {
  if constexpr (scales_loss)
    return kernels::loss_scale_value(loss_scale_);
  else
    return {};
}

template <class Scalar>
void Update<Scalar>::plan(const Ownership& ownership, const std::vector<kernels::NormCell>& cells) {
  index_t packed = 0, weights = 0;
  for (const Range& range : ownership.ranges) {
    const auto place = [&](Layout layout) { return layout == Layout::flat ? range.offset : packed; };
    parts_.push_back({place(ownership.gradients), place(ownership.weights), packed, range.extent});
    gradients_ = std::max(gradients_, parts_.back().gradients + range.extent);
    weights = std::max(weights, parts_.back().weights + range.extent);
    packed += range.extent;
  }
  if (static_cast<index_t>(weights_.extent(0)) < weights)
    refuse<ShapeError>("Update", fmt::format("{} weights are given", weights_.extent(0)),
                       fmt::format("{} that are owned", weights));

  const std::vector<CellRun> runs = cell_runs(ownership.ranges, cells);
  std::vector<std::size_t> last(parts_.size());  // a range's weights are complete with its last run
  for (std::size_t r = 0; r < runs.size(); ++r) last[runs[r].range] = r;
  std::vector<kernels::NormCell> owned;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const auto& [range, of_run] = runs[r];
    const index_t moved = parts_[range].gradients - ownership.ranges[range].offset, first = std::ssize(owned);
    for (index_t k = of_run.offset; k < of_run.end(); ++k) {
      owned.push_back(cells[static_cast<std::size_t>(k)]);
      owned.back().offset += moved;
    }
    const std::span<const kernels::NormCell> added = std::span(owned).subspan(static_cast<std::size_t>(first));
    plan_run(last[range] == r ? parts_[range] : Part(), added, first, of_run.offset);
  }
  cells_ = Vector<kernels::NormCell>("partita::nn::Update::cells", owned.size());
  Kokkos::deep_copy(cells_, Kokkos::View<const kernels::NormCell*, Kokkos::HostSpace>(owned.data(), owned.size()));
}

// On a host blocks that a core's cache holds: the optimizer then finds the gradient where the norm has just read it.
// Only cells that are adjacent pieces of the part can be cut so.
template <class Scalar>
void Update<Scalar>::plan_run(const Part& part, std::span<const kernels::NormCell> cells, index_t first,
                              index_t squares) {
  constexpr index_t most = std::is_same_v<Exec, HostExec> ? 1024 : std::numeric_limits<index_t>::max();
  index_t next = part.gradients;
  const bool follow = std::all_of(cells.begin(), cells.end(), [&](const kernels::NormCell& cell) {
    const bool follows = cell.offset == next && cell.rows == 1;
    next += cell.rows * cell.columns;
    return follows;
  });
  const bool adjacent = follow && next - part.gradients == part.extent;
  const index_t count = std::ssize(cells), length = adjacent ? std::min(most, count) : count;
  for (index_t k = 0; k < count; k += length) {
    const index_t end = std::min(k + length, count);
    // Of the part from its beginning, and to its end.
    const index_t from = k == 0 ? 0 : cells[static_cast<std::size_t>(k)].offset - part.gradients;
    const index_t to = end == count ? part.extent : cells[static_cast<std::size_t>(end)].offset - part.gradients;
    blocks_.push_back({{first + k, end - k},
                       squares + k,
                       {part.gradients + from, part.weights + from, part.state + from, to - from}});
  }
}

template <class Scalar>
void Update<Scalar>::square(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, const Block& block) const {
  const index_t count = block.cells.extent;
  kernels::norm_squared<Sum<Scalar>>(context, subrange<const kernels::NormCell>(cells_, block.cells.offset, count),
                                     gradients, subrange(squares_, block.squares, count));
}

template <class Scalar>
void Update<Scalar>::optimize(const Exec& exec, ConstVector<Sum<Scalar>> gradients, const Part& part) const {
  const auto state = [&](const Vector<Sum<Scalar>>& of) {
    return of.extent(0) == 0 ? Vector<Sum<Scalar>>() : subrange(of, part.state, part.extent);
  };
  const auto g = subrange(gradients, part.gradients, part.extent);
  const auto w = subrange(weights_, part.weights, part.extent);
  const kernels::OptimizerOptions& rule = options_.optimizer;
  if constexpr (has_master)
    kernels::optimizer_update<Scalar>(exec, rule, state_, g, state(master_), state(m_), state(v_), w);
  else
    kernels::optimizer_update<Scalar>(exec, rule, state_, g, w, state(m_), state(v_));
}

template <class Scalar>
void Update<Scalar>::run(kernels::Context& context, ConstVector<Sum<Scalar>> gradients,
                         ConstVector<Sum<Scalar>> statistics, Kokkos::View<double, Memory> norm) const {
  if (static_cast<index_t>(gradients.extent(0)) < gradients_ || statistics.extent(0) != running_.extent(0))
    refuse<ShapeError>("Update",
                       fmt::format("{} gradients and {} statistics", gradients.extent(0), statistics.extent(0)),
                       fmt::format("{} of the owned weights and {}", gradients_, running_.extent(0)));
  const Exec& exec = context.exec();
  // Whether the update waits for the norm, or may go along with it.
  const bool waits = skips() || options_.clip_norm > 0;

  if (!waits) kernels::optimizer_advance(exec, options_.optimizer, state_);
  if (cells_.extent(0) < squares_.extent(0)) kernels::fill<double>(exec, 0, squares_);
  for (const Block& block : blocks_) {
    square(context, gradients, block);
    if (!waits && block.part.extent > 0) optimize(exec, gradients, block.part);
  }
  total(exec);
  if (skips()) kernels::loss_scale_update(exec, options_.loss_scale, sum_, loss_scale_, state_);
  if (options_.clip_norm > 0) kernels::optimizer_clip(exec, options_.clip_norm, sum_, state_);
  kernels::gradient_norm(exec, sum_, state_, norm);
  if (waits) {
    kernels::optimizer_advance(exec, options_.optimizer, state_);
    for (const Part& part : parts_)
      if (part.extent > 0) optimize(exec, gradients, part);
  }
  if (running_.extent(0) > 0)
    kernels::statistics_update<Sum<Scalar>>(exec, options_.momentum, state_, statistics, running_);
}

// Of squares that are known here, on all ranks.
template <class Scalar>
void Update<Scalar>::total(const Exec& exec) const {
  const ConstVector<double> squares = complete_ ? complete_(exec, squares_) : ConstVector<double>(squares_);
  kernels::norm_total(exec, squares, sum_);
  kernels::first_not_finite(exec, sum_, squares, not_finite_);
}

template <class Scalar>
void Update<Scalar>::unscale(const Exec& exec, double factor, Vector<Sum<Scalar>> gradients) const {
  kernels::unscale_gradient<Sum<Scalar>>(exec, factor, state_, gradients);
}

template <class Scalar>
void Update<Scalar>::norm(kernels::Context& context, ConstVector<Sum<Scalar>> gradients,
                          Kokkos::View<double, Memory> norm) const {
  const Exec& exec = context.exec();
  if (cells_.extent(0) < squares_.extent(0)) kernels::fill<double>(exec, 0, squares_);
  for (const Block& block : blocks_) square(context, gradients, block);
  total(exec);
  kernels::gradient_norm(exec, sum_, {}, norm);
}

template <class Scalar>
std::size_t Update<Scalar>::bytes(const kernels::OptimizerOptions& optimizer, index_t owned, index_t cells,
                                  index_t owned_cells) {
  const index_t buffers = kernels::optimizer_buffers(optimizer) + (has_master ? 1 : 0);
  return static_cast<std::size_t>(buffers * owned) * sizeof(Sum<Scalar>) +
         static_cast<std::size_t>(owned_cells) * sizeof(kernels::NormCell) +
         static_cast<std::size_t>(cells) * sizeof(double) + sizeof(kernels::OptimizerState) +
         sizeof(kernels::LossScaleState) + sizeof(double) + sizeof(index_t);
}

template class Update<float>;
template class Update<double>;
template class Update<bfloat16>;
template class Update<float16>;

}  // namespace partita::nn
