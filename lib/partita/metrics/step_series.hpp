// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/metrics/record.hpp>

namespace partita::metrics {

/// Reduces the steps of a run, as they come, to what /summary needs. A step counts when it is neither warm-up nor the
/// one after a flush. A step's time is the longest of its ranks'; memory is one double a step and one a rank and phase.
class StepSeries {
 public:
  StepSeries(std::vector<Phase> phases, index_t ranks);

  /// Throws   ShapeError when the rows do not fit.
  void add(const StepRows& rows);

  /// Metrics, in this order, all "within run":
  ///   step_s               median over the counted steps of the longest rank, with its interval
  ///   samples_per_s        samples of the counted steps over the sum of their times
  ///   share_<phase>        seconds of the phase over seconds of the steps, both summed over counted steps and ranks
  ///   share_unattributed   what is left
  ///   parallel_efficiency, load_balance, communication_efficiency
  ///                        mean C / T, mean C / max C, max C / T: C = seconds of a rank in phases of class compute, T
  ///                        = sum of the step times; the first is the product of the others (efficiency.hpp)
  ///   final_loss           of the last step, counted or not
  std::vector<SummaryRow> summary() const;

  /// Useful compute seconds of every rank in the counted steps: RunResults::compute_s.
  std::vector<double> compute_s() const;

 private:
  std::vector<Phase> phases_;
  index_t ranks_;
  std::vector<double> step_s_;   // counted steps
  std::vector<double> phase_s_;  // (rank, phase) sums over the counted steps
  double rank_step_s_ = 0;       // sum over counted steps and ranks
  double samples_ = 0;
  double last_loss_ = not_a_number;
  index_t last_step_ = -1;
};

/// The summary of rows that are all at hand.
std::vector<SummaryRow> summarise_steps(const std::vector<Phase>& phases, index_t ranks, const StepRows& rows);

}  // namespace partita::metrics
