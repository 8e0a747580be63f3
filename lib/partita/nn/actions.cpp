// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <partita/core/error.hpp>
#include <partita/nn/actions.hpp>

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
  index_t live = 0, pending = 0, last_gradient = -1;
  bool backward = false;
  const auto refuse = [&](const Action& action, const char* why) {
    throw UsageError(fmt::format("actions: {} of micro-batch {} on stage {}: {}", name(action.kind), action.micro_batch,
                                 stage, why));
  };
  for (const Action& action : actions) {
    if (action.stage != stage) continue;
    const auto at = state.find(action.micro_batch);
    if (action.kind == Kind::forward) {
      if (at != state.end()) refuse(action, "it was done before: expected every pass once");
      state[action.micro_batch] = State::forwarded;
      most.slots = std::max(most.slots, ++live);
      continue;
    }
    backward = true;
    const bool second = action.kind == Kind::backward_weights;
    if (at == state.end() || at->second != (second ? State::half_done : State::forwarded))
      refuse(action, second ? "expected it once, after backward-input" : "expected it once, after forward");
    if (action.kind == Kind::backward_input) {
      at->second = State::half_done;
      most.pending = std::max(most.pending, ++pending);
      continue;
    }
    if (second) --pending;
    --live;
    at->second = State::done;
    if (action.micro_batch < last_gradient) refuse(action, "a later one was taken before: expected ascending order");
    last_gradient = action.micro_batch;
  }
  for (const auto& [micro_batch, reached] : state)
    if (backward && reached != State::done)
      refuse({Kind::backward, stage, micro_batch}, "it is missing: expected one for every forward");
  if (!backward) most.slots = std::min<index_t>(most.slots, 1);
  return most;
}

}  // namespace partita::nn
