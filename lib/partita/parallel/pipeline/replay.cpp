// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/replay.hpp>

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

}  // namespace

double PassTimes::of(Kind kind) const {
  switch (kind) {
    case Kind::forward:
      return forward;
    case Kind::backward:
      return backward_input + backward_weights;
    case Kind::backward_input:
      return backward_input;
    default:
      return backward_weights;
  }
}

double Replay::idle(const std::vector<nn::Actions>& schedule, int rank, const PassTimes& times) const {
  double busy = 0;
  for (const Action& action : schedule[static_cast<std::size_t>(rank)]) busy += times.of(action.kind);
  return end - busy;
}

ActionTimes action_times(const std::vector<nn::Actions>& schedule, const PassTimes& times) {
  ActionTimes all;
  for (const nn::Actions& actions : schedule) {
    all.emplace_back();
    for (const Action& action : actions) all.back().push_back(times.of(action.kind));
  }
  return all;
}

Replay replay(const std::vector<nn::Actions>& schedule, const ActionTimes& times, std::vector<double> begin) {
  begin.resize(schedule.size(), 0.);
  InOrder done = run_in_order(schedule, times, data_needs(schedule), std::move(begin));
  std::string stuck;
  for (const auto& [rank, action, event] : done.stuck)
    stuck += fmt::format("{}rank {} stands before {}, which waits for {}", stuck.empty() ? "" : "; ", rank,
                         cell(action), text(event));
  if (!stuck.empty()) refuse<UsageError>("schedule", stuck, "an order in which nobody waits forever");
  const double end = done.end.empty() ? 0 : *std::max_element(done.end.begin(), done.end.end());
  return {std::move(done.start), std::move(done.end), end};
}

Replay replay(const std::vector<nn::Actions>& schedule, const PassTimes& times) {
  return replay(schedule, action_times(schedule, times));
}

index_t peak_live(const nn::Actions& actions, bool until_input) {
  index_t live = 0, most = 0;
  for (const Action& action : actions) {
    if (action.kind == Kind::forward) most = std::max(most, ++live);
    if (action.kind == Kind::backward || action.kind == (until_input ? Kind::backward_input : Kind::backward_weights))
      --live;
  }
  return most;
}

}  // namespace partita::parallel
