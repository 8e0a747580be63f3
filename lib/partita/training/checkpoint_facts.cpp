// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/checkpoint_facts.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <type_traits>
#include <variant>

#include <fmt/format.h>

#include <partita/config/toml_value.hpp>
#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>

namespace partita::training {
namespace {

// A resolved deck as keys and their values in TOML.
std::map<std::string, std::string> keys_of(const std::string& deck, const std::string& name) {
  std::map<std::string, std::string> keys;
  for (const config::Given& given : config::read_document(deck, name))
    keys[given.key] = std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
            return given.value.shown;
          else
            return config::to_toml(value);
        },
        given.value.data);
  return keys;
}

// Keys on which the numbers of a run depend, in deterministic mode too, and that differ.
std::vector<std::string> differences(const std::string& path, const std::string& then, const std::string& now) {
  const auto counts = [](const std::string& key) {
    return key.starts_with("model.") || key.starts_with("data.") ||
           (key.starts_with("train.") && key != "train.micro_batches");
  };
  const std::map<std::string, std::string> before = keys_of(then, path);
  std::vector<std::string> found;
  for (const auto& [key, value] : keys_of(now, "the deck"))
    if (const auto old = before.find(key); counts(key) && old != before.end() && old->second != value)
      found.push_back(fmt::format("{} = {} (now {})", key, old->second, value));
  return found;
}

void check_tensors(const io::CheckpointFile& file, const char* group, const nn::ParameterTable& table) {
  for (const std::string& name : file.tensors(group))
    if (table.find(name) == nullptr)
      refuse<UsageError>(fmt::format("{}: /{}/{}", file.path(), group, printable(name)), "the model has no such tensor",
                         "a checkpoint of this model");
}

nn::UpdateCounters read_counters(const io::CheckpointFile& file, index_t done) {
  const auto count = [&](const char* name) {
    const index_t value = file.integer(name);
    if (value < 0 || value > done)
      refuse<UsageError>(file.path(), fmt::format("{} = {} after {} steps", name, value, done), "0 up to its steps");
    return value;
  };
  const double scale = file.real("loss_scale");
  if (!(scale > 0) || std::isinf(scale))
    refuse<UsageError>(file.path(), fmt::format("loss_scale = {}", scale), "a positive number");
  return {count("optimizer_step"), {scale, count("loss_scale_good_steps"), count("loss_scale_skipped")}};
}

}  // namespace

std::vector<index_t> shape_of(const nn::Parameter& tensor) {
  std::vector<index_t> shape;
  for (const nn::Dimension& dimension : tensor.dimensions) shape.push_back(dimension.slice.global);
  return shape;
}

const char* group_of(nn::Kept what) {
  return std::find_if(std::begin(checkpoint_groups), std::end(checkpoint_groups),
                      [&](const auto& each) { return each.kept == what; })
      ->name;
}

io::CheckpointWriter begin_checkpoint(const std::string& path, const TrainOptions& train,
                                      const CheckpointFacts& facts) {
  const kernels::LossScaleState& scale = facts.counters.loss_scale;
  io::CheckpointWriter writer(path);
  writer.attributes({{"step", std::int64_t{facts.done}},
                     {"precision", std::string(name_of(precisions, train.precision))},
                     {"optimizer", std::string(kernels::name(train.update.optimizer.kind))},
                     {"optimizer_step", std::int64_t{facts.counters.step}},
                     {"loss_scale", scale.scale},
                     {"loss_scale_good_steps", std::int64_t{scale.good_steps}},
                     {"loss_scale_skipped", std::int64_t{scale.skipped}},
                     {"strategy", facts.strategy},
                     {"ranks", std::int64_t{facts.ranks}}});
  writer.text("config", facts.deck);
  writer.column("losses", {facts.losses.begin(), facts.losses.end()});
  return writer;
}

CheckpointState read_state(const io::CheckpointFile& file, const Resuming& run) {
  CheckpointState state;
  state.done = file.integer("step");
  state.losses = file.column("losses");
  if (state.done < 1 || std::ssize(state.losses) != state.done)
    refuse<UsageError>(file.path(), fmt::format("{} losses of {} steps", state.losses.size(), state.done),
                       "a loss of each step");
  if (state.done >= run.steps)
    refuse<UsageError>(file.path(),
                       fmt::format("it was made after {} steps, of which the run has {}", state.done, run.steps),
                       "a run of more steps");
  if (const std::string rule = file.text_attribute("optimizer"), own(kernels::name(run.train.update.optimizer.kind));
      rule != own)
    refuse<UsageError>(file.path(), fmt::format("it comes from the optimizer {}", printable(rule)),
                       fmt::format("{}, the run's", own));
  state.counters = read_counters(file, state.done);
  state.same_precision = file.text_attribute("precision") == name_of(precisions, run.train.precision);
  for (const auto& group : checkpoint_groups) check_tensors(file, group.name, run.weights);
  check_tensors(file, checkpoint_statistics, run.statistics);
  state.differs = differences(file.path(), file.text("config"), run.deck);
  return state;
}

}  // namespace partita::training
