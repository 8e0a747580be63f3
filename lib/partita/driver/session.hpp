// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/config/command_line.hpp>
#include <partita/config/deck.hpp>
#include <partita/driver/attendance.hpp>
#include <partita/driver/run_options.hpp>

namespace partita::driver {

/// What --describe prints in an app: nothing, and it is refused; or the model, once it is built.
enum class Describes { nothing, model };

/// Command line and deck of an app, the same on all ranks: rank 0 reads the file and broadcasts it.
///
///     driver::Session session(env, argc, argv, "mlp_dp", "An MLP trained with replicated weights");
///     const Config config = read_config(session.deck(), env.size());
///     if (session.settled(config.run, driver::Describes::model)) return;  // --help, --version, --print-config, ...
///     session.start(config.run);
///     ... the model is built ...
///     if (session.describe(model.describe(), flop)) return;               // --describe
///
/// options  What the app takes beside the deck; they must outlive nothing but this constructor.
/// Throws   UsageError on every rank alike.
class Session {
 public:
  Session(comm::Environment& env, int argc, char** argv, const std::string& app, const std::string& about,
          bool deck_required = true, const std::vector<config::Option>& options = {});

  comm::Environment& env() { return env_; }
  config::Deck& deck() { return deck_; }
  Attendance& attendance() { return attendance_; }

  /// Reports keys that nobody read, and answers questions that need no run: true when there is nothing more to do.
  /// --validate tries the output, too. --describe needs no run but a model: with Describes::model this answers false,
  /// and the app asks describe() when it has one; without, UsageError. `check` looks at what else was given, where a
  /// run is meant or --validate. Collective.
  bool settled(const RunOptions& run, Describes what = Describes::nothing,
               const std::function<void()>& check = {}) const;

  /// The run begins: `run` learns where it comes from, and its limits hold from now on.
  void start(RunOptions& run);

  /// Answers --describe: prints the model's description on rank 0, and last what a step's flop of all ranks are, as the
  /// record will count them; true when it was asked for and nothing more is to do.
  bool describe(const std::string& model, double flop_per_step) const;

 private:
  comm::Environment& env_;
  Attendance attendance_;  // before the first collective call
  std::string app_;
  config::CommandLine line_;
  std::string command_;
  config::Deck deck_;
};

/// An argument as a shell reads it back: quoted where it must be.
std::string quoted(const std::string& argument);

}  // namespace partita::driver
