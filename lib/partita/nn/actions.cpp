// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/actions.hpp>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {
namespace {

const char* name(Action::Kind kind) {
  switch (kind) {
    case Action::Kind::forward:
      return "forward";
    case Action::Kind::backward:
      return "backward";
    case Action::Kind::backward_input:
      return "backward-input";
    default:
      return "backward-weights";
  }
}

}  // namespace

Actions in_turn(index_t micro_batches, int stages) {
  Actions actions;
  for (index_t m = 0; m < micro_batches; ++m) {
    for (int s = 0; s < stages; ++s) actions.push_back({Action::Kind::forward, s, m});
    for (int s = stages - 1; s >= 0; --s) actions.push_back({Action::Kind::backward, s, m});
  }
  return actions;
}

Actions forward_only(index_t micro_batches, int stages) {
  Actions actions;
  for (index_t m = 0; m < micro_batches; ++m)
    for (int s = 0; s < stages; ++s) actions.push_back({Action::Kind::forward, s, m});
  return actions;
}

Peak peak(std::span<const Action> actions, int stage) {
  using Kind = Action::Kind;
  enum class State { forwarded, half_done, done };
  std::map<index_t, State> state;
  Peak most;
  index_t live = 0, pending = 0, gradients = 0, last_gradient = -1;
  bool backward = false;
  const auto refuse_action = [&](const Action& action, std::string_view state_of_it, std::string_view expected) {
    refuse<UsageError>(
        "actions",
        fmt::format("{} of micro-batch {} on stage {} {}", name(action.kind), action.micro_batch, stage, state_of_it),
        expected);
  };
  for (const Action& action : actions) {
    if (action.stage == stage + 1 && (action.kind == Kind::backward || action.kind == Kind::backward_input))
      most.gradients = std::max(most.gradients, ++gradients);
    if (action.stage != stage) continue;
    const auto at = state.find(action.micro_batch);
    if (action.kind == Kind::forward) {
      if (at != state.end()) refuse_action(action, "was done before", "every pass once");
      state[action.micro_batch] = State::forwarded;
      most.slots = std::max(most.slots, ++live);
      continue;
    }
    backward = true;
    const bool second = action.kind == Kind::backward_weights;
    if (at == state.end() || at->second != (second ? State::half_done : State::forwarded))
      refuse_action(action, "is not next", second ? "it once, after backward-input" : "it once, after forward");
    if (action.kind == Kind::backward_input) {
      at->second = State::half_done;
      most.pending = std::max(most.pending, ++pending);
      continue;
    }
    if (second) --pending;
    --live;
    --gradients;
    at->second = State::done;
    if (action.micro_batch < last_gradient) refuse_action(action, "comes after a later one", "ascending order");
    last_gradient = action.micro_batch;
  }
  for (const auto& [micro_batch, reached] : state)
    if (backward && reached != State::done)
      refuse_action({Kind::backward, stage, micro_batch}, "is missing", "one for every forward");
  if (!backward) most.slots = std::min<index_t>(most.slots, 1);
  return most;
}

}  // namespace partita::nn
