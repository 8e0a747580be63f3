// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/deadlock.hpp>

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/replay.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/stage_buffers.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

struct StageOfRank {
  int rank = 0;
  bool backward = false;  // in the schedule at all
  StageBuffers buffers;
};
using Stages = std::map<int, StageOfRank>;

Stages stages_of(const std::vector<nn::Actions>& schedule) {
  index_t micro_batches = 0;
  for (const nn::Actions& actions : schedule)
    for (const Action& action : actions) micro_batches = std::max(micro_batches, action.micro_batch + 1);
  Stages stages;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank)
    for (const Action& action : schedule[rank]) {
      const auto [at, added] = stages.try_emplace(action.stage);
      if (added)
        at->second = {static_cast<int>(rank), false, stage_buffers(schedule[rank], action.stage, micro_batches)};
      at->second.backward = at->second.backward || action.kind != Kind::forward;
    }
  return stages;
}

// A receive that must be posted: by which stage, of which micro-batch, and after what that is.
struct Receive {
  int stage = 0;
  index_t micro_batch = 0;
  Event after;
};

std::vector<Receive> receives(const Stages& stages, const Action& action) {
  std::vector<Receive> all;
  if (action.kind == Kind::backward_weights) return all;
  const bool forward = action.kind == Kind::forward;
  const StageOfRank& own = stages.at(action.stage);
  const auto is_peer = [&](int stage) {
    const auto at = stages.find(stage);
    return at != stages.end() && at->second.rank != own.rank;
  };
  const auto add = [&](int stage, index_t micro_batch) {
    const StageOfRank& of = stages.at(stage);
    const index_t released = micro_batch - (forward ? of.buffers.inputs : of.buffers.gradients);
    if (micro_batch >= 0 && released >= 0)
      all.push_back({stage, micro_batch, {of.backward ? Event::Kind::released : Event::Kind::output, stage, released}});
  };
  const int from = action.stage + (forward ? -1 : 1), to = action.stage + (forward ? 1 : -1);
  if (is_peer(from)) add(action.stage, action.micro_batch);
  if (is_peer(to)) add(to, action.micro_batch - (forward ? own.buffers.slots : own.buffers.input_gradients));
  return all;
}

std::string text(const Stages& stages, const Stuck& stuck) {
  const auto& [rank, action, event] = stuck;
  for (const auto& [stage, micro_batch, after] : receives(stages, action))
    if (after == event) {
      const bool forward = action.kind == Kind::forward;
      const Event message{forward ? Event::Kind::output : Event::Kind::input_gradient, forward ? stage - 1 : stage + 1,
                          micro_batch};
      return fmt::format("rank {} to post its receive of {}", stages.at(stage).rank, text(message));
    }
  const auto at = stages.find(event.stage);
  if (at == stages.end()) return fmt::format("{}, a stage that no rank has", text(event));
  return at->second.rank == rank ? text(event) : fmt::format("{} from rank {}", text(event), at->second.rank);
}

}  // namespace

InOrder run_with_buffers(const std::vector<nn::Actions>& schedule, const Needs& more) {
  const Stages stages = stages_of(schedule);
  const Needs data = data_needs(schedule);
  const auto needs = [&](const Action& action, std::vector<Event>& needed) {
    data(action, needed);
    for (const Receive& receive : receives(stages, action)) needed.push_back(receive.after);
    if (more) more(action, needed);
  };
  return run_in_order(schedule, action_times(schedule, {}), needs, std::vector<double>(schedule.size()));
}

void require_no_deadlock(const std::vector<nn::Actions>& schedule, const Needs& more) {
  const Stages stages = stages_of(schedule);
  const InOrder done = run_with_buffers(schedule, more);
  std::string all;
  for (const Stuck& stuck : done.stuck)
    all += fmt::format("{}rank {} stands before {}, which waits for {}", all.empty() ? "" : "; ", stuck.rank,
                       cell(stuck.action), text(stages, stuck));
  if (!all.empty()) refuse<UsageError>("schedule", all, "an order that ends with rendezvous sends and bounded buffers");
}

}  // namespace partita::parallel
