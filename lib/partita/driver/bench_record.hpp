// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/comm/environment.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/run_record.hpp>

namespace partita::driver {

/// Where the last line goes: to standard output, or to standard error where the former is a document.
enum class Verdict { output, aside };

/// The record of a run without steps, such as a benchmark's: opened before the first measurement, so that an output
/// that cannot be written is known then. The role of its ranks is "benchmark".
class BenchRecord {
 public:
  /// Describes run and machine, calibrates. Warns of more threads than cores: times then "say nothing about <subject>".
  /// Collective.
  ///
  /// Throws   UsageError, EnvironmentError (run.oversubscribe).
  BenchRecord(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run, const std::string& subject);

  /// What the run adds; on rank 0.
  metrics::RunResults& results() { return frame_.results(); }

  /// Writes the record, with traffic and the verdict, and prints the last line: the figure of merit, the record's path
  /// and the verdict. Collective. Returns done or check_failed, the same on all ranks.
  ExitCode finish(const Verification& verdict, const std::string& figure_of_merit, Verdict to = Verdict::output);

 private:
  const comm::Environment& env_;
  const RunOptions& run_;
  RunRecord frame_;
};

}  // namespace partita::driver
