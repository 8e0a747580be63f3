// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/config/command_line.hpp>
#include <partita/training/model_options.hpp>

namespace partita::training {

/// The options of an app whose GPT may come from a file of weights and leave one, in the names and layouts of GPT-2.
///
///     training::WeightFiles files;
///     driver::Session session(env, argc, argv, "app", "about", true, files.options());
///     ...
///     if (session.settled(config.run, driver::Describes::model,
///                         [&] { training::check(files, env.world(), config.model, config.run.output); }))
struct WeightFiles {
  std::optional<std::string> load, save, save_batch;

  /// They refer to this object.
  std::vector<config::Option> options();
  bool saves() const { return save || save_batch; }
};

/// What can be said before there is a model: the kind of model, files that are sound, names that can be written and
/// differ from each other's and the record's.
/// Throws   UsageError on all ranks alike, "--save-weights: ...". Collective.
void check(const WeightFiles& files, const comm::Communicator& world, const ModelOptions& model,
           const std::string& record);

}  // namespace partita::training
