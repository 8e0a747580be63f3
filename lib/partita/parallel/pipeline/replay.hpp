// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/parallel/pipeline/in_order.hpp>

namespace partita::parallel {

/// Times of a micro-batch's passes of one stage, in any unit; a fused backward takes backward_input + backward_weights.
struct PassTimes {
  double forward = 1, backward_input = 1, backward_weights = 1;

  double of(nn::Action::Kind kind) const;
};

/// When each action of each rank begins, when each rank ends, and when the last one does.
struct Replay {
  std::vector<std::vector<double>> start;
  std::vector<double> ends;
  double end = 0;

  /// Of a rank, between time 0 and the end of the last rank.
  double idle(const std::vector<nn::Actions>& schedule, int rank, const PassTimes& times) const;
};

/// The times of passes at their places in a schedule.
ActionTimes action_times(const std::vector<nn::Actions>& schedule, const PassTimes& times);

/// Ranks that do their actions in order, each as soon as the data that it needs are there (data_needs), on a network
/// that costs nothing; rank r from begin[r] on, one that has no begin from 0.
///
/// Throws   UsageError for a schedule in which an action waits forever: the first such action of each rank that is
///          stuck, and what it waits for.
Replay replay(const std::vector<nn::Actions>& schedule, const ActionTimes& times, std::vector<double> begin = {});
Replay replay(const std::vector<nn::Actions>& schedule, const PassTimes& times = {});

/// The most micro-batches of all stages of a rank between forward and the end of backward: with `until_input` the end
/// of backward-input, else of backward-weights.
index_t peak_live(const nn::Actions& actions, bool until_input = false);

}  // namespace partita::parallel
