// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/bubble.hpp>

#include <algorithm>

namespace partita::parallel {
namespace {

// What a rank does within a step from `begin` to `end`.
RankIdle idle_of(const std::vector<double>& start, const std::vector<double>& times, double begin, double end) {
  if (start.empty()) return {end - begin, 0, 0};
  RankIdle idle{start.front() - begin, 0, end - (start.back() + times.back())};
  for (std::size_t k = 1; k < start.size(); ++k) idle.middle += start[k] - (start[k - 1] + times[k - 1]);
  return idle;
}

}  // namespace

std::vector<RankIdle> replay_steps(const std::vector<nn::Actions>& schedule, const ActionTimes& times, bool barrier,
                                   int steps) {
  std::vector<RankIdle> mean(schedule.size());
  std::vector<double> begin(schedule.size(), 0.);
  const int skipped = steps / 2;
  for (int step = 0; step < steps; ++step) {
    const Replay at = replay(schedule, times, begin);
    std::vector<double> end = at.ends;
    if (barrier) std::fill(end.begin(), end.end(), at.end);
    for (std::size_t rank = 0; step >= skipped && rank < schedule.size(); ++rank) {
      const RankIdle idle = idle_of(at.start[rank], times[rank], begin[rank], end[rank]);
      mean[rank].fill += idle.fill / (steps - skipped);
      mean[rank].middle += idle.middle / (steps - skipped);
      mean[rank].drain += idle.drain / (steps - skipped);
    }
    begin = std::move(end);
  }
  return mean;
}

std::optional<double> bubble_closed_form(Schedule schedule, const PipelineShape& shape, const PassTimes& times,
                                         bool barrier) {
  const auto [forward, input, weights] = times;
  const index_t m = shape.micro_batches, p = shape.ranks;
  const auto others = static_cast<double>(p - 1);
  switch (schedule) {
    case Schedule::gpipe:
    case Schedule::one_f_one_b:
      return others * (forward + input + weights);
    case Schedule::interleaved:
      if (m < p) return std::nullopt;
      return others * (forward + input + weights);
    case Schedule::zb_h1:
      if (m < p || weights > std::min(forward, input)) return std::nullopt;
      return others * (forward + input - weights);
    default:
      if (m < 2 * p - 1 || forward != input || forward != weights) return std::nullopt;
      return barrier ? others * forward : 0;
  }
}

}  // namespace partita::parallel
