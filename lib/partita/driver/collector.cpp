// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/collector.hpp>

#include <algorithm>
#include <cmath>

namespace partita::driver {
namespace {

// (rank, step, width) as gathered -> (step, rank, width) as recorded.
template <class T>
std::vector<T> by_step(const std::vector<T>& by_rank, std::size_t ranks, std::size_t steps, std::size_t width) {
  std::vector<T> all(by_rank.size());
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t s = 0; s < steps; ++s)
      std::copy_n(by_rank.begin() + static_cast<std::ptrdiff_t>((r * steps + s) * width), width,
                  all.begin() + static_cast<std::ptrdiff_t>((s * ranks + r) * width));
  return all;
}

}  // namespace

Collector::Collector(const Exec& exec, index_t first, index_t window, std::size_t phases, index_t loss_terms,
                     std::optional<bool> norm_part)
    : window_(window),
      phases_(phases),
      loss_terms_(loss_terms),
      norm_part_(norm_part),
      losses_("partita::driver::Collector::losses", window, loss_terms),
      host_losses_(Kokkos::create_mirror_view(losses_)),
      norms_("partita::driver::Collector::norms", window),
      host_norms_(Kokkos::create_mirror_view(norms_)),
      phase_s_(static_cast<std::size_t>(window) * phases),
      start_ns_(static_cast<std::size_t>(window)),
      end_ns_(static_cast<std::size_t>(window)),
      first_step_(first) {
  forget_norms(exec);
}

void Collector::forget_norms(const Exec& exec) const { Kokkos::deep_copy(exec, norms_, metrics::not_a_number); }

StepOutput Collector::output() const {
  return {{losses_.data() + count_ * loss_terms_, static_cast<std::size_t>(loss_terms_)},
          Kokkos::View<double, Memory>(norms_.data() + count_)};
}

void Collector::add(const metrics::StepTimes& times) {
  const auto at = static_cast<std::size_t>(count_);
  std::copy(times.phase_s.begin(), times.phase_s.end(), phase_s_.begin() + static_cast<std::ptrdiff_t>(at * phases_));
  start_ns_[at] = times.start_ns;
  end_ns_[at] = times.end_ns;
  ++count_;
}

// Of the whole gradient, on rank 0.
std::vector<double> Collector::norms(const comm::Communicator& world, std::size_t steps) const {
  std::vector<double> mine(host_norms_.data(), host_norms_.data() + steps);
  if (!norm_part_) return world.is_root() ? mine : std::vector<double>();
  for (double& norm : mine) norm = *norm_part_ ? norm * norm : 0;
  const std::vector<double> squares = world.gather(std::span<const double>(mine));
  std::vector<double> whole(world.is_root() ? steps : 0, 0);
  for (std::size_t k = 0; k < squares.size(); ++k) whole[k % steps] += squares[k];
  for (double& norm : whole) norm = std::sqrt(norm);
  return whole;
}

void Collector::look_for_bad_ranks(std::span<const double> terms, const std::vector<index_t>& widths,
                                   std::size_t steps) {
  bad_rank_ = -1;
  std::size_t first = 0, earliest = steps;
  for (std::size_t r = 0; r < widths.size(); ++r) {
    const auto w = static_cast<std::size_t>(widths[r]);
    for (std::size_t s = 0; s < earliest; ++s) {
      const std::span<const double> mine = terms.subspan(first + s * w, w);
      if (std::all_of(mine.begin(), mine.end(), [](double term) { return std::isfinite(term); })) continue;
      earliest = s;
      bad_rank_ = static_cast<int>(r);
    }
    first += steps * w;
  }
}

metrics::StepRows Collector::flush(const Exec& exec, const comm::Communicator& world,
                                   const std::function<double(std::span<const double>)>& reduce) {
  exec.fence("partita::driver::Collector: losses are read by the host");
  Kokkos::deep_copy(exec, host_losses_, losses_);
  Kokkos::deep_copy(exec, host_norms_, norms_);
  exec.fence("partita::driver::Collector: losses are on the host");
  const auto steps = static_cast<std::size_t>(count_);
  const auto ranks = static_cast<std::size_t>(world.size());

  metrics::StepRows rows;
  rows.first_step = first_step_;
  rows.count = count_;
  rows.phase_s = by_step(world.gather(std::span<const double>(phase_s_.data(), steps * phases_)),
                         world.is_root() ? ranks : 0, steps, phases_);
  rows.start_ns = by_step(world.gather(std::span<const std::int64_t>(start_ns_.data(), steps)),
                          world.is_root() ? ranks : 0, steps, 1);
  rows.end_ns = by_step(world.gather(std::span<const std::int64_t>(end_ns_.data(), steps)), world.is_root() ? ranks : 0,
                        steps, 1);

  // Ranks may hold different numbers of terms: rank by rank, each with its steps one after the other.
  const std::vector<index_t> widths = world.gather(loss_terms_);
  const std::vector<double> terms =
      world.gather(std::span<const double>(host_losses_.data(), steps * static_cast<std::size_t>(loss_terms_)));
  rows.grad_norm = norms(world, steps);
  if (world.is_root()) {
    look_for_bad_ranks(terms, widths, steps);
    std::vector<double> of_step;
    for (std::size_t s = 0; s < steps; ++s) {
      of_step.clear();
      std::size_t first = 0;
      for (const index_t width : widths) {
        const auto w = static_cast<std::size_t>(width);
        const auto from = terms.begin() + static_cast<std::ptrdiff_t>(first + s * w);
        of_step.insert(of_step.end(), from, from + width);
        first += steps * w;
      }
      rows.loss.push_back(reduce(of_step));
    }
  }
  forget_norms(exec);  // last: on the host, norms and host_norms are one
  first_step_ += count_;
  count_ = 0;
  return rows;
}

}  // namespace partita::driver
