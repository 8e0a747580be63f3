// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/phase_timer.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// Keeps times, partial losses and gradient norms of the steps since the last flush on every rank, and brings them to
/// rank 0 then.
class Collector {
 public:
  /// Of the steps from `first` on; room for `window` steps of `phases` phases and `loss_terms` partial losses: all
  /// memory is taken here. norm_part: as Workload's.
  Collector(const Exec& exec, index_t first, index_t window, std::size_t phases, index_t loss_terms,
            std::optional<bool> norm_part = {});

  bool full() const { return count_ == window_; }
  index_t count() const { return count_; }

  /// Where the step that comes next puts its results; its gradient norm is NaN until it does. No allocation.
  StepOutput output() const;
  /// The step that has just ended. No allocation.
  void add(const metrics::StepTimes& times);

  /// Rows of the steps since the last flush, on rank 0 (elsewhere the arrays are empty); forgets them. `reduce` makes a
  /// loss of the terms of all ranks; the gradient norm is rank 0's, or that of all parts. Not filled: samples, warmup,
  /// flushed. Collective; fences; allocates.
  metrics::StepRows flush(const Exec& exec, const comm::Communicator& world,
                          const std::function<double(std::span<const double>)>& reduce);
  /// Of the last flush, on rank 0: whose loss is not finite in the first such step; -1: nobody's.
  int bad_rank() const { return bad_rank_; }

 private:
  void look_for_bad_ranks(std::span<const double> terms, const std::vector<index_t>& widths, std::size_t steps);
  std::vector<double> norms(const comm::Communicator& world, std::size_t steps) const;
  void forget_norms(const Exec& exec) const;

  index_t window_;
  std::size_t phases_;
  index_t loss_terms_;
  std::optional<bool> norm_part_;
  Matrix<double> losses_;  // (window, loss_terms)
  Matrix<double>::HostMirror host_losses_;
  Vector<double> norms_;  // (window), NaN where no step wrote
  Vector<double>::HostMirror host_norms_;
  std::vector<double> phase_s_;                  // (window, phases)
  std::vector<std::int64_t> start_ns_, end_ns_;  // (window)
  index_t first_step_;
  index_t count_ = 0;
  int bad_rank_ = -1;
};

}  // namespace partita::driver
