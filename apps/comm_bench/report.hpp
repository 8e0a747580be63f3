// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/driver/bench_record.hpp>
#include <partita/metrics/record.hpp>

#include "config.hpp"
#include "series.hpp"

namespace partita::comm_bench {

/// A group for each operation: time_s (byte, algorithm, repeat), medians with intervals, bandwidths, speed_vs_mpi,
/// overlap, and alpha_s and beta_s_per_byte (algorithm) with their residuals.
std::vector<metrics::Table> tables(const std::vector<Series>& all);

/// What a reader wants first: best bandwidths, latency, least speed of the ring.
std::vector<metrics::SummaryRow> summary(const std::vector<Series>& all);

/// The record of a run: opened before the first measurement, so that an output that cannot be written is known then.
class Report {
 public:
  /// Describes run and machine, calibrates. Collective.
  /// Throws   UsageError, EnvironmentError (run.oversubscribe).
  Report(const comm::Environment& env, const comm::Mesh& mesh, const Config& config);

  /// Checks results, counted bytes against their closed form and verify.least_speed; writes the record; prints the last
  /// line. Collective. Returns done or check_failed, the same on all ranks.
  ExitCode finish(const std::vector<Series>& all);

 private:
  driver::Verification verify(const std::vector<Series>& all) const;
  std::string figure_of_merit(const std::vector<Series>& all) const;

  const comm::Environment& env_;
  const Config& config_;
  driver::BenchRecord bench_;
};

}  // namespace partita::comm_bench
