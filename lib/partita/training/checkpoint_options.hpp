// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/config/command_line.hpp>
#include <partita/config/deck.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// When a run leaves checkpoints, and which one it goes on from.
///
///     training::CheckpointOptions checkpoints;
///     driver::Session session(env, argc, argv, "app", "about", true, checkpoints.flags());
///     ... checkpoints.read(session.deck(), config.run.output);
///     ... settled(..., [&] { checkpoints.check(env.world(), config.data, config.train, config.run.output); })
struct CheckpointOptions {
  index_t every = 0;                  ///< checkpoint.every: steps; 0: only at the end
  std::string path;                   ///< checkpoint.path; empty: the run leaves none
  std::optional<std::string> resume;  ///< --resume

  bool saves() const { return !path.empty(); }
  /// They refer to this object.
  std::vector<config::Option> flags();
  /// Declares and reads the keys; the path is by default the record's, `x.checkpoint.h5` for `x.h5`.
  void read(config::Deck& deck, const std::string& record);
  /// What can be said before there is a model: files that can be read and written, names that differ, a run that can be
  /// taken up.
  /// Throws   UsageError on all ranks alike. Collective.
  void check(const comm::Communicator& world, const DataOptions& data, const TrainOptions& train,
             const std::string& record, parallel::Strategy strategy = parallel::Strategy::allreduce) const;
};

}  // namespace partita::training
