// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <fmt/format.h>

#include <partita/metrics/statistics.hpp>

namespace partita::kernel_bench {
namespace {

metrics::Attributes describe(const char* long_name, const char* units) {
  return {{"long_name", long_name}, {"units", units}};
}

metrics::Table kernels_table(const std::vector<Measured>& all, const Peaks& peaks) {
  std::vector<std::string> names;
  for (const Measured& one : all) names.push_back(one.bench->name);
  metrics::Table table{.group = "/kernels"};
  table.scales = {metrics::name_scale("benchmark", names, "kernel, variant and size")};
  const auto column = [&](const char* name, const char* long_name, const char* units, auto get) {
    std::vector<double> values;
    for (const Measured& one : all) {
      const metrics::Interval time_s = metrics::median_ci(one.time_s);
      values.push_back(get(one.bench->cost, time_s));
    }
    table.columns.push_back({name, {"benchmark"}, values, describe(long_name, units)});
  };
  using kernels::cost::Cost;
  using metrics::Interval;
  column("time_s", "median time of a call over the repetitions", "s", [](Cost, Interval t) { return t.value; });
  column("ci_low_s", "lower bound of its 95 % interval", "s", [](Cost, Interval t) { return t.low; });
  column("ci_high_s", "upper bound of its 95 % interval", "s", [](Cost, Interval t) { return t.high; });
  column("flop", "floating-point operations of a call, closed form", "1", [](Cost c, Interval) { return c.flop; });
  column("byte", "bytes of a call, each operand moved once", "byte", [](Cost c, Interval) { return c.byte; });
  column("flop_per_s", "flop over median time", "1/s", [](Cost c, Interval t) { return c.flop / t.value; });
  column("byte_per_s", "bytes over median time", "byte/s", [](Cost c, Interval t) { return c.byte / t.value; });
  column("peak_share", "time on the roof of /peaks over median time", "1",
         [&](Cost c, Interval t) { return peaks.least_s(c) / t.value; });
  std::vector<std::int64_t> repetitions;
  for (const Measured& one : all) repetitions.push_back(static_cast<std::int64_t>(one.time_s.size()));
  table.columns.push_back({"repetitions", {"benchmark"}, repetitions, describe("samples of the median", "1")});
  return table;
}

metrics::Table peaks_table(const Peaks& peaks) {
  std::vector<std::int64_t> sizes;
  std::vector<double> rates;
  for (const Peaks::Gemm& gemm : peaks.gemms) {
    sizes.push_back(gemm.n);
    rates.push_back(gemm.flop_per_s);
  }
  metrics::Table table{.group = "/peaks"};
  table.scales = {{"gemm_n", {"gemm_n"}, sizes, describe("rows and columns of a square product", "1")}};
  table.columns = {{"gemm_flop_per_s", {"gemm_n"}, rates, describe("best fp32 rate", "1/s")},
                   {"flop_per_s", {}, std::vector<double>{peaks.flop_per_s}, describe("best of the sweep", "1/s")},
                   {"byte_per_s", {}, std::vector<double>{peaks.byte_per_s}, describe("STREAM triad", "byte/s")}};
  return table;
}

}  // namespace

ExitCode Report::finish(const std::vector<Measured>& all, const Peaks& peaks, driver::Verdict to) {
  if (all.empty())
    refuse<UsageError>("kernel_bench", "Google Benchmark reported no single run, and those are what the record keeps",
                       "no flag such as --benchmark_display_aggregates_only");
  const auto rate = [](const char* metric, double value, const char* unit) {
    return metrics::SummaryRow{metric, value,  metrics::not_a_number, metrics::not_a_number,
                               8,      "rate", "within run",          unit};
  };
  metrics::RunResults& results = bench_.results();
  results.tables = {kernels_table(all, peaks), peaks_table(peaks)};
  results.summary = {rate("gemm_flop_per_s", peaks.flop_per_s, "1/s"),
                     rate("triad_byte_per_s", peaks.byte_per_s, "byte/s")};
  return bench_.finish(
      {peaks.wrong.empty(),
       peaks.wrong.empty() ? fmt::format("the peaks' sums are right, {} benchmarks ran", all.size()) : peaks.wrong},
      fmt::format("gemm {:.1f} GFLOP/s, triad {:.1f} GB/s", 1e-9 * peaks.flop_per_s, 1e-9 * peaks.byte_per_s), to);
}

}  // namespace partita::kernel_bench
