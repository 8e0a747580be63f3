// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/schedule_check.hpp>

#include <map>
#include <set>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

std::vector<int> stages_in(const nn::Actions& actions) {
  std::set<int> stages;
  for (const Action& action : actions) stages.insert(action.stage);
  return {stages.begin(), stages.end()};
}

void check_stages(const std::vector<nn::Actions>& schedule, const std::string& name) {
  std::map<int, int> rank_of;
  for (int rank = 0; rank < static_cast<int>(schedule.size()); ++rank) {
    const std::vector<int> stages = stages_in(schedule[static_cast<std::size_t>(rank)]);
    if (stages.empty())
      refuse<UsageError>(name, fmt::format("rank {} of {} has no pass", rank, schedule.size()),
                         "a stage for each rank, which is a row");
    for (const int stage : stages) {
      const auto [at, added] = rank_of.try_emplace(stage, rank);
      if (!added)
        refuse<UsageError>(name, fmt::format("stage {} is on ranks {} and {}", stage, at->second, rank),
                           "each stage on one rank");
    }
  }
  int next = 0;
  for (const auto& [stage, rank] : rank_of)
    if (stage != next++)
      refuse<UsageError>(name,
                         fmt::format("stage {} is missing, there is a stage {}", next - 1, rank_of.rbegin()->first),
                         "all stages from 0 on");
}

void check_order(const nn::Actions& actions, int stage, const std::string& name) {
  try {
    nn::peak(actions, stage);
  } catch (const UsageError& error) {
    throw UsageError(name + ": " + error.what());
  }
  std::map<Kind, const Action*> last;
  for (const Action& action : actions) {
    if (action.stage != stage) continue;
    // A backward in one piece is both.
    for (const Kind kind : action.kind == Kind::backward ? std::vector{Kind::backward_input, Kind::backward_weights}
                                                         : std::vector{action.kind}) {
      const Action*& before = last[kind];
      if (before != nullptr && before->micro_batch > action.micro_batch)
        refuse<UsageError>(name, fmt::format("{} of stage {} comes after {}", cell(action), stage, cell(*before)),
                           "the micro-batches of a stage in ascending order");
      before = &action;
    }
  }
}

// What nn::peak lets pass has for every forward the backward that goes with it, or for none.
void check_micro_batches(const nn::Actions& actions, int stage, index_t micro_batches, const std::string& name) {
  const auto refuse_stage = [&](const std::string& found) {
    refuse<UsageError>(name, fmt::format("stage {} {}", stage, found),
                       fmt::format("forward and backward of micro-batches 0 to {} on every stage", micro_batches - 1));
  };
  index_t forwards = 0;
  bool backward = false;
  for (const Action& action : actions) {
    if (action.stage != stage) continue;
    if (action.micro_batch >= micro_batches) refuse_stage("has " + cell(action));
    backward = backward || action.kind != Kind::forward;
    if (action.kind == Kind::forward && action.micro_batch != forwards++)  // they are in ascending order
      refuse_stage(fmt::format("has no {}", cell({Kind::forward, stage, forwards - 1})));
  }
  if (forwards < micro_batches) refuse_stage(fmt::format("has no {}", cell({Kind::forward, stage, forwards})));
  if (!backward) refuse_stage("has no backward");
}

}  // namespace

void check_schedule(const std::vector<nn::Actions>& schedule, index_t micro_batches, const std::string& name) {
  check_stages(schedule, name);
  for (const nn::Actions& actions : schedule) {
    for (const int stage : stages_in(actions)) {
      check_order(actions, stage, name);
      check_micro_batches(actions, stage, micro_batches, name);
    }
  }
}

std::vector<int> ranks_of_stages(const std::vector<nn::Actions>& schedule) {
  std::map<int, int> rank_of;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank)
    for (const Action& action : schedule[rank]) rank_of.try_emplace(action.stage, static_cast<int>(rank));
  std::vector<int> ranks;
  for (const auto& [stage, rank] : rank_of) ranks.push_back(rank);
  return ranks;
}

std::vector<int> stages_of_rank(const std::vector<nn::Actions>& schedule, int rank) {
  return stages_in(schedule[static_cast<std::size_t>(rank)]);
}

}  // namespace partita::parallel
