// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/workload.hpp>
#include <partita/io/record_file.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// What the record of every run has in common, with steps or without: how it begins and how it ends.
class RunRecord {
 public:
  /// Takes the output, so that one that cannot be written is known before anything is measured; looks at the placement
  /// and warns of more threads than cores ("times of this run say nothing about <subject>"); prints `head`; describes
  /// run, machine and what this rank does (`role`); calibrates. Collective.
  /// Throws   UsageError, EnvironmentError (run.oversubscribe).
  RunRecord(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec,
            const std::string& subject, const std::string& role, const std::string& head = "");

  /// What the record holds, to be completed before open() and before finish(); what counts is rank 0's.
  metrics::RunHeader& header() { return header_; }
  metrics::RunResults& results() { return results_; }
  /// Begins the file. Collective.
  void open();
  /// On rank 0.
  io::RecordFile& file() { return *file_; }

  /// Adds what is known at the end: traffic, peak memory and compute seconds of the ranks. Collective.
  void collect(const std::vector<double>& compute_s);
  /// Adds the verdict and finishes the file; returns where it is. On rank 0.
  std::string finish(const Verification& verdict, bool complete, const std::string& exit_reason);

 private:
  const comm::Environment& env_;
  metrics::RunHeader header_;
  metrics::RunResults results_;
  std::optional<io::Output> output_;      // rank 0, until there is
  std::unique_ptr<io::RecordFile> file_;  // rank 0
};

}  // namespace partita::driver
