// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/config/deck.hpp>
#include <partita/driver/faults.hpp>
#include <partita/io/output.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

enum class Oversubscribe { warn, error };
enum class CalibrationMode { cached, fresh, off };

/// What made a run: the program, its deck as a whole, the command line.
struct Origin {
  std::string app;
  std::string deck;         ///< resolved: reproduces the run
  std::string config_hash;  ///< of it
  std::string command;      ///< quoted, to be pasted into a shell
};

/// The keys that all apps share: [run], [record], [output].
struct RunOptions {
  index_t warmup = 5;                ///< run.warmup: first steps that are done for real but counted in no statistic
  double time_limit_s = 0;           ///< run.time_limit_s: 0 = none
  double hang_timeout_s = 300;       ///< run.hang_timeout_s: without progress for so long the job is ended; 0 = never
  bool learns_hang_timeout = false;  ///< the deck does not say: within steps it is learnt from the warm-up
  Oversubscribe oversubscribe = Oversubscribe::warn;
  CalibrationMode calibration = CalibrationMode::cached;
  metrics::Detail detail = metrics::Detail::full;
  bool check_collectives = false;    ///< run.check_collectives: comm::CallCheck
  index_t check_replicas_every = 0;  ///< run.check_replicas_every: steps; 0 = only at the end
  index_t flush_every = 0;           ///< record.flush_every: steps; 0 = about once a second, agreed after warm-up
  index_t first_event_step = 0;      ///< record.events: steps of the timeline /events, both included ...
  index_t last_event_step = -1;      ///< ... none when the last comes before the first
  std::string study;                 ///< record.study, record.point: where this run belongs, set by `partita run`
  std::string point;
  std::string output;         ///< output.path
  std::vector<Fault> faults;  ///< [[fault]]: drills

  Origin origin;  ///< no key: Session::start
};

/// Declares and reads the shared keys. `output` is the default of output.path.
RunOptions read_run_options(config::Deck& deck, const std::string& output);

/// Only those that also a program without steps has: oversubscribe, calibration, study, point, output.
RunOptions read_common_options(config::Deck& deck, const std::string& output);

/// The file of run.output, checked and taken; or only tried, leaving nothing behind.
/// Throws   UsageError naming output.path.
io::Output take_output(const RunOptions& run);
void try_output(const RunOptions& run);

}  // namespace partita::driver
