// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/driver/bench_record.hpp>

#include "config.hpp"
#include "peaks.hpp"
#include "suite.hpp"

namespace partita::kernel_bench {

/// What Google Benchmark measured of one benchmark: seconds a call, one number a repetition.
struct Measured {
  const Bench* bench;
  std::vector<double> time_s;
};

/// Runs those of the suite that the flags (--benchmark_filter, --benchmark_repetitions, ...) choose; Google Benchmark
/// prints as they say. Counters: FLOP/s, byte/s and the share of the peak. Empty where the flags only ask for the list.
///
/// Throws   UsageError for a flag that Google Benchmark does not know, or a filter that matches nothing.
std::vector<Measured> run(const Suite& suite, kernels::Context& context, const Peaks& peaks,
                          std::span<char* const> flags);

/// The record: /kernels (a row each benchmark), /peaks (the sweep), /summary.
class Report {
 public:
  Report(const comm::Environment& env, const comm::Mesh& mesh, const Config& config)
      : bench_(env, mesh, config.run, "the kernels") {}

  /// Writes the record; prints the last line with the verdict on what the peaks computed (the unit tests see to the
  /// rest).
  /// Throws   UsageError when nothing was measured.
  ExitCode finish(const std::vector<Measured>& all, const Peaks& peaks, driver::Verdict to);

 private:
  driver::BenchRecord bench_;
};

}  // namespace partita::kernel_bench
