// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/update.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include <partita/kernels/cast.hpp>
#include <partita/kernels/statistics.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::nn {

template <class Scalar>
Update<Scalar>::Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model, NormSum norm_sum)
    : options_(options),
      norm_sum_(std::move(norm_sum)),
      parameters_(model.parameters()),
      running_(model.running()),
      state_("partita::nn::Update::state"),
      loss_scale_("partita::nn::Update::loss_scale"),
      sum_("partita::nn::Update::sum") {
  const std::size_t n = parameters_.extent(0);
  if (kernels::optimizer_needs_m(options.optimizer)) m_ = Vector<Sum<Scalar>>("partita::nn::Update::m", n);
  if (kernels::optimizer_needs_v(options.optimizer)) v_ = Vector<Sum<Scalar>>("partita::nn::Update::v", n);
  if constexpr (has_master) {
    master_ = Vector<Sum<Scalar>>("partita::nn::Update::master", n);
    kernels::cast<Sum<Scalar>, Scalar>(exec, parameters_, master_);
  }
  const std::vector<kernels::NormCell> cells = norm_cells(model.table());
  cells_ = Kokkos::View<kernels::NormCell*, Memory>("partita::nn::Update::cells", cells.size());
  squares_ = Vector<double>("partita::nn::Update::squares", cells.size());
  Kokkos::deep_copy(cells_, Kokkos::View<const kernels::NormCell*, Kokkos::HostSpace>(cells.data(), cells.size()));
  plan_blocks(cells);
  kernels::loss_scale_start(exec, options_.loss_scale, loss_scale_);
  set_learning_rate(exec, options_.learning_rate);
}

template <class Scalar>
void Update<Scalar>::set_learning_rate(const Exec& exec, double rate) const {
  kernels::optimizer_set_learning_rate(exec, rate, state_);
}

template <class Scalar>
Kokkos::View<const double, Memory> Update<Scalar>::loss_scale() const {
  if constexpr (scales_loss)
    return kernels::loss_scale_value(loss_scale_);
  else
    return {};
}

// On a host blocks that a core's cache holds: the optimizer then finds the gradient where the norm has just read it.
// Only cells that are adjacent pieces of the buffer can be cut so.
template <class Scalar>
void Update<Scalar>::plan_blocks(const std::vector<kernels::NormCell>& cells) {
  constexpr index_t most = std::is_same_v<Exec, HostExec> ? 1024 : std::numeric_limits<index_t>::max();
  index_t next = 0;
  const bool adjacent = std::all_of(cells.begin(), cells.end(), [&](const kernels::NormCell& cell) {
    const bool follows = cell.offset == next && cell.rows == 1;
    next += cell.rows * cell.columns;
    return follows;
  });
  const auto n = static_cast<index_t>(parameters_.extent(0)), count = std::ssize(cells);
  const index_t length = adjacent ? std::min(most, count) : count;
  for (index_t first = 0; first < count; first += length) {
    const index_t end = std::min(first + length, count);
    const index_t from = first == 0 ? 0 : cells[static_cast<std::size_t>(first)].offset;
    const index_t to = end == count ? n : cells[static_cast<std::size_t>(end)].offset;
    blocks_.push_back({{first, end - first}, {from, to - from}});
  }
}

template <class Scalar>
void Update<Scalar>::square(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, Range cells) const {
  const auto count = static_cast<std::size_t>(cells.extent);
  kernels::norm_squared<Sum<Scalar>>(context, kernels::NormCells(cells_.data() + cells.offset, count), gradients,
                                     Vector<double>(squares_.data() + cells.offset, count));
}

template <class Scalar>
void Update<Scalar>::optimize(const Exec& exec, ConstVector<Sum<Scalar>> gradients, Range weights) const {
  const auto part = [&](const auto& of) {
    using View = std::remove_cvref_t<decltype(of)>;
    return of.extent(0) == 0 ? View() : View(of.data() + weights.offset, static_cast<std::size_t>(weights.extent));
  };
  const kernels::OptimizerOptions& rule = options_.optimizer;
  if constexpr (has_master)
    kernels::optimizer_update<Scalar>(exec, rule, state_, part(gradients), part(master_), part(m_), part(v_),
                                      part(parameters_));
  else
    kernels::optimizer_update<Scalar>(exec, rule, state_, part(gradients), part(parameters_), part(m_), part(v_));
}

template <class Scalar>
void Update<Scalar>::run(kernels::Context& context, ConstVector<Sum<Scalar>> gradients,
                         Kokkos::View<double, Memory> norm) const {
  const Exec& exec = context.exec();
  const std::size_t n = parameters_.extent(0);
  const ConstVector<Sum<Scalar>> weights(gradients.data(), n);
  const ConstVector<Sum<Scalar>> statistics(gradients.data() + n, running_.extent(0));
  // Whether the update waits for the norm, or may go along with it.
  const bool waits = scales_loss || options_.clip_norm > 0;

  if (!waits) kernels::optimizer_advance(exec, options_.optimizer, state_);
  for (const Block& block : blocks_) {
    square(context, weights, block.cells);
    if (!waits) optimize(exec, weights, block.weights);
  }
  kernels::norm_total(exec, squares_, sum_);
  if (norm_sum_) norm_sum_(exec, sum_);
  if constexpr (scales_loss) kernels::loss_scale_update(exec, options_.loss_scale, sum_, loss_scale_, state_);
  if (options_.clip_norm > 0) kernels::optimizer_clip(exec, options_.clip_norm, sum_, state_);
  kernels::gradient_norm(exec, sum_, state_, norm);
  if (waits) {
    kernels::optimizer_advance(exec, options_.optimizer, state_);
    optimize(exec, weights, {0, static_cast<index_t>(n)});
  }
  if (running_.extent(0) > 0)
    kernels::statistics_update<Sum<Scalar>>(exec, options_.momentum, state_, statistics, running_);
}

template <class Scalar>
std::size_t Update<Scalar>::bytes(const kernels::OptimizerOptions& optimizer, index_t parameters, index_t cells) {
  const index_t buffers = kernels::optimizer_buffers(optimizer) + (has_master ? 1 : 0);
  return static_cast<std::size_t>(buffers * parameters) * sizeof(Sum<Scalar>) +
         static_cast<std::size_t>(cells) * (sizeof(kernels::NormCell) + sizeof(double)) +
         sizeof(kernels::OptimizerState) + sizeof(kernels::LossScaleState) + sizeof(double);
}

template class Update<float>;
template class Update<double>;
template class Update<bfloat16>;
template class Update<float16>;

}  // namespace partita::nn
