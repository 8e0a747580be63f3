// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include <partita/parallel/pipeline/replay.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

// Idle time of a pipeline's ranks on a network that costs nothing: replayed over several steps, and in closed form.
// With a barrier all ranks begin a step together, when the last one has ended the step before. Without, a rank begins
// when it has done its own part of that: weights change when the last backward-weights of their stage is done.

namespace partita::parallel {

/// A rank's idle time in a step: before its first action, between its actions, after its last one (where there is no
/// barrier, that is the next step's fill).
struct RankIdle {
  double fill = 0;
  double middle = 0;
  double drain = 0;

  double sum() const { return fill + middle + drain; }
};

/// Of each rank, the mean of the later half of `steps` steps, which follow each other: the steady state, as far as they
/// reach it.
///
/// Throws   UsageError as replay does.
std::vector<RankIdle> replay_steps(const std::vector<nn::Actions>& schedule, const ActionTimes& times, bool barrier,
                                   int steps = 8);

/// Of each rank, which all have the same: RankIdle::sum() in the steady state. F, I, W of a stage, p ranks, m micro-
/// batches:
///
/// gpipe, 1f1b   (p-1)(F+I+W)
/// interleaved   (p-1)(F+I+W)      if m >= p
/// zb-h1         (p-1)(F+I-W)      if m >= p and W <= min(F, I)
/// zb-v          (p-1)F, without a barrier 0      if m >= 2p-1 and F = I = W
///
/// None elsewhere: a replay says it.
std::optional<double> bubble_closed_form(Schedule schedule, const PipelineShape& shape, const PassTimes& times,
                                         bool barrier);

}  // namespace partita::parallel
