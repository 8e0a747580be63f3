// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/in_order.hpp>

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include <fmt/format.h>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

struct EventHash {
  std::size_t operator()(const Event& event) const {
    const auto stage = static_cast<std::uint64_t>(event.stage), kind = static_cast<std::uint64_t>(event.kind);
    return static_cast<std::size_t>((static_cast<std::uint64_t>(event.micro_batch) * 3 + kind) * 1000003 + stage);
  }
};
using EventTimes = std::unordered_map<Event, double, EventHash>;

void bring_about(const Action& action, double at, EventTimes& there) {
  const auto [kind, stage, m] = action;
  if (kind == Kind::forward) there[{Event::Kind::output, stage, m}] = at;
  if (kind == Kind::backward || kind == Kind::backward_input) there[{Event::Kind::input_gradient, stage, m}] = at;
  if (kind == Kind::backward || kind == Kind::backward_weights) there[{Event::Kind::released, stage, m}] = at;
}

}  // namespace

std::string text(const Event& event) {
  const auto& [kind, stage, m] = event;
  return fmt::format("the {} of stage {} for micro-batch {}",
                     kind == Event::Kind::output           ? "output"
                     : kind == Event::Kind::input_gradient ? "input's gradient"
                                                           : "end",
                     stage, m);
}

InOrder run_in_order(const std::vector<nn::Actions>& schedule, const ActionTimes& times, const Needs& needs,
                     std::vector<double> begin) {
  InOrder result{{}, std::move(begin), {}};
  result.start.resize(schedule.size());
  EventTimes there;
  std::vector<Event> needed;
  // The first thing that is missing of a rank's next action; else when all is there.
  const auto look = [&](const Action& action, double& at) {
    needed.clear();
    needs(action, needed);
    for (const Event& event : needed) {
      const auto found = there.find(event);
      if (found == there.end()) return &event;
      at = std::max(at, found->second);
    }
    return static_cast<const Event*>(nullptr);
  };
  for (bool moved = true; moved;) {
    moved = false;
    result.stuck.clear();
    for (std::size_t rank = 0; rank < schedule.size(); ++rank)
      for (std::size_t next = result.start[rank].size(); next < schedule[rank].size(); ++next, moved = true) {
        const Action& action = schedule[rank][next];
        double& at = result.end[rank];
        if (const Event* const missing = look(action, at)) {
          result.stuck.push_back({static_cast<int>(rank), action, *missing});
          break;
        }
        result.start[rank].push_back(at);
        at += times[rank][next];
        bring_about(action, at, there);
      }
  }
  return result;
}

Needs data_needs(const std::vector<nn::Actions>& schedule) {
  int last = 0;
  for (const nn::Actions& actions : schedule)
    for (const Action& action : actions) last = std::max(last, action.stage);
  return [last](const Action& action, std::vector<Event>& needed) {
    const auto [kind, stage, m] = action;
    switch (kind) {
      case Kind::forward:
        if (stage > 0) needed.push_back({Event::Kind::output, stage - 1, m});
        return;
      case Kind::backward_weights:
        needed.push_back({Event::Kind::input_gradient, stage, m});
        return;
      default:
        needed.push_back({Event::Kind::output, stage, m});
        if (stage < last) needed.push_back({Event::Kind::input_gradient, stage + 1, m});
    }
  };
}

}  // namespace partita::parallel
