// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/replay.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

enum class Done { forward, input_gradient };
using Event = std::tuple<Done, int, index_t>;  // of a stage and micro-batch

std::string text(const Event& event) {
  const auto& [what, stage, micro_batch] = event;
  return fmt::format("the {} of stage {} for micro-batch {}", what == Done::forward ? "output" : "input's gradient",
                     stage, micro_batch);
}

// What an action waits for.
std::vector<Event> needs(const Action& action, int stages) {
  const auto [kind, stage, m] = action;
  if (kind == Kind::forward)
    return stage > 0 ? std::vector<Event>{{Done::forward, stage - 1, m}} : std::vector<Event>{};
  if (kind == Kind::backward_weights) return {{Done::input_gradient, stage, m}};
  std::vector<Event> events = {{Done::forward, stage, m}};
  if (stage + 1 < stages) events.push_back({Done::input_gradient, stage + 1, m});
  return events;
}

// What others may wait for, and how long after its start it is there.
std::optional<std::pair<Event, double>> gives(const Action& action, const PassTimes& times) {
  const auto [kind, stage, m] = action;
  if (kind == Kind::backward_weights) return std::nullopt;
  return std::pair(Event{kind == Kind::forward ? Done::forward : Done::input_gradient, stage, m}, times.of(kind));
}

[[noreturn]] void refuse_stuck(const std::vector<nn::Actions>& schedule, const std::vector<std::size_t>& next,
                               const std::map<Event, double>& there, int stages) {
  std::string stuck;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank) {
    if (next[rank] == schedule[rank].size()) continue;
    const Action& action = schedule[rank][next[rank]];
    for (const Event& event : needs(action, stages))
      if (!there.contains(event)) {
        stuck += fmt::format("{}rank {} stands before {}, which waits for {}", stuck.empty() ? "" : "; ", rank,
                             cell(action), text(event));
        break;
      }
  }
  refuse<UsageError>("schedule", stuck, "an order in which nobody waits forever");
}

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

Replay replay(const std::vector<nn::Actions>& schedule, const PassTimes& times) {
  int stages = 0;
  for (const nn::Actions& actions : schedule)
    for (const Action& action : actions) stages = std::max(stages, action.stage + 1);
  Replay result;
  result.start.resize(schedule.size());
  std::vector<std::size_t> next(schedule.size(), 0);
  std::vector<double> free(schedule.size(), 0);
  std::map<Event, double> there;
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < schedule.size(); ++rank)
      for (; next[rank] < schedule[rank].size(); ++next[rank], moved = true) {
        const Action& action = schedule[rank][next[rank]];
        double start = free[rank];
        bool ready = true;
        for (const Event& event : needs(action, stages)) {
          const auto at = there.find(event);
          ready = ready && at != there.end();
          if (ready) start = std::max(start, at->second);
        }
        if (!ready) break;
        result.start[rank].push_back(start);
        free[rank] = start + times.of(action.kind);
        if (const auto event = gives(action, times)) there[event->first] = start + event->second;
      }
  }
  for (std::size_t rank = 0; rank < schedule.size(); ++rank)
    if (next[rank] < schedule[rank].size()) refuse_stuck(schedule, next, there, stages);
  if (!free.empty()) result.end = *std::max_element(free.begin(), free.end());
  return result;
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
