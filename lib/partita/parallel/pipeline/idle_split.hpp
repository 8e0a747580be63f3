// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/parallel/pipeline/bubble.hpp>

namespace partita::parallel {

/// Means over steps of what was measured on a rank, in seconds.
struct MeasuredRank {
  std::vector<double> action_s;  ///< of each action, without what it waits for
  std::vector<double> waited_s;  ///< right before each action or within it, for a peer
  double before_s = 0;  ///< from the step's begin to the work of the first action, so that waited_s[0] is in it
  double after_s = 0;   ///< from the last action's end to the step's end
};

/// What a step of a rank is made of, in seconds: step_s is the sum of the others.
struct IdleSplit {
  double fill_s = 0;         ///< before the first action
  double steady_idle_s = 0;  ///< between actions, what a replay with the same times of actions has, too
  double wait_s = 0;         ///< between actions, for a peer, beyond that
  double drain_s = 0;        ///< after the last action
  double busy_s = 0;         ///< within actions
  double step_s = 0;
};

/// Of one rank; the replay is of the measured times of actions of all ranks. Of waiting between actions the replay's
/// RankIdle::middle is steady idle, wherever in the step it comes, and what is more is waiting for a peer.
IdleSplit split_idle(const MeasuredRank& measured, const RankIdle& replayed);

/// Of all ranks, and what a network that costs nothing would leave of their fill, steady idle and drain.
struct StepIdle {
  std::vector<IdleSplit> measured;
  std::vector<RankIdle> replayed;
};

/// With `barrier` steps begin together, else each rank begins when it has ended the step before (replay_steps).
///
/// Throws   ShapeError where the ranks or the actions of a rank are not as many as the schedule's; UsageError as replay
///          does.
StepIdle split_idle(const std::vector<nn::Actions>& schedule, const std::vector<MeasuredRank>& measured, bool barrier);

}  // namespace partita::parallel
