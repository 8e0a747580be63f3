// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/idle_split.hpp>

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel {
namespace {

void require_as_many(std::size_t found, std::size_t expected, const char* of_what) {
  if (found != expected)
    refuse<ShapeError>("split_idle", fmt::format("{} {}, the schedule has {}", found, of_what, expected),
                       "measurements of each");
}

}  // namespace

IdleSplit split_idle(const MeasuredRank& measured, const RankIdle& replayed) {
  const auto& [action_s, waited_s, before_s, after_s] = measured;
  const double busy = std::accumulate(action_s.begin(), action_s.end(), 0.);
  const double waited = waited_s.empty() ? 0 : std::accumulate(waited_s.begin() + 1, waited_s.end(), 0.);
  const double steady = std::min(waited, replayed.middle);
  return {before_s, steady, waited - steady, after_s, busy, before_s + waited + after_s + busy};
}

StepIdle split_idle(const std::vector<nn::Actions>& schedule, const std::vector<MeasuredRank>& measured, bool barrier) {
  require_as_many(measured.size(), schedule.size(), "ranks");
  ActionTimes times;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank) {
    require_as_many(measured[rank].action_s.size(), schedule[rank].size(), "actions of a rank");
    require_as_many(measured[rank].waited_s.size(), schedule[rank].size(), "waits of a rank");
    times.push_back(measured[rank].action_s);
  }
  StepIdle result{{}, replay_steps(schedule, times, barrier)};
  for (std::size_t rank = 0; rank < schedule.size(); ++rank)
    result.measured.push_back(split_idle(measured[rank], result.replayed[rank]));
  return result;
}

}  // namespace partita::parallel
