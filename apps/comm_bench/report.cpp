// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <cmath>

#include <fmt/format.h>

namespace partita::comm_bench {
namespace {

using metrics::Column;

constexpr index_t large_bytes = 64 * 1024;  // from here on, bandwidth and not latency decides

metrics::Attributes describe(const char* long_name, const char* units) {
  return {{"long_name", long_name}, {"units", units}};
}

/// One number for each size and algorithm, in order.
template <class Get>
std::vector<double> collect(const std::vector<std::vector<Series>>& groups, Get get) {
  std::vector<double> values;
  for (const std::vector<Series>& group : groups)
    for (const Series& series : group) values.push_back(get(series, group));
  return values;
}

metrics::Table table(const std::string& operation, const std::vector<std::vector<Series>>& groups, int ranks) {
  std::vector<std::int64_t> bytes, calls;
  std::vector<std::string> algorithms;
  std::vector<double> time_s;
  for (const std::vector<Series>& group : groups) {
    bytes.push_back(group.front().bytes);
    calls.push_back(group.front().calls);
    for (const Series& series : group) time_s.insert(time_s.end(), series.time_s.begin(), series.time_s.end());
  }
  for (const Series& series : groups.front()) algorithms.push_back(series.algorithm);
  const auto repeats = static_cast<index_t>(groups.front().front().time_s.size());

  metrics::Table table{.group = "/" + operation};
  table.scales = {{"byte", {"byte"}, bytes, describe("size of the message or buffer", "byte")},
                  metrics::name_scale("algorithm", algorithms, "who chooses how messages travel"),
                  metrics::index_scale("repeat", repeats, "sample")};
  const auto column = [&](const char* name, const char* long_name, const char* units, auto get) {
    table.columns.push_back({name, {"byte", "algorithm"}, collect(groups, get), describe(long_name, units)});
  };
  using Group = std::vector<Series>;
  table.columns.push_back(
      {"time_s", {"byte", "algorithm", "repeat"}, time_s, describe("time of a call, slowest rank", "s")});
  table.columns.push_back({"calls", {"byte"}, calls, describe("calls in a sample", "1")});
  column("median_s", "median time of a call", "s", [](const Series& s, const Group&) { return s.cost().value; });
  column("ci_low_s", "lower bound of its 95 % interval", "s",
         [](const Series& s, const Group&) { return s.cost().low; });
  column("ci_high_s", "upper bound of its 95 % interval", "s",
         [](const Series& s, const Group&) { return s.cost().high; });
  column("algbw_byte_per_s", "bytes over median time", "byte/s",
         [](const Series& s, const Group&) { return algbw_byte_per_s(s); });
  column("busbw_byte_per_s", "algbw x 2 (P-1) / P for an all-reduce", "byte/s",
         [&](const Series& s, const Group&) { return busbw_byte_per_s(s, ranks); });
  column("speed_vs_mpi", "median time of MPI's over this one's", "1",
         [](const Series& s, const Group& same_size) { return speed_vs_mpi(s, same_size); });
  return table;
}

metrics::SummaryRow row(std::string metric, double value, index_t n, const char* kind, const char* unit) {
  return {std::move(metric), value, metrics::not_a_number, metrics::not_a_number, n, kind, "within run", unit};
}

}  // namespace

std::vector<metrics::Table> tables(const std::vector<Series>& all, int ranks) {
  std::vector<metrics::Table> made;
  for (const char* operation : {"ping_pong", "allreduce"})
    if (const auto groups = by_size(all, operation); !groups.empty()) made.push_back(table(operation, groups, ranks));
  return made;
}

std::vector<metrics::SummaryRow> summary(const std::vector<Series>& all, int ranks) {
  std::vector<metrics::SummaryRow> rows;
  for (const std::vector<Series>& group : by_size(all, "ping_pong")) {
    const Series& series = group.front();
    if (rows.empty()) {
      const metrics::Interval cost = series.cost();
      rows.push_back({"ping_pong_latency_s", cost.value, cost.low, cost.high, cost.n, "cost", "within run", "s"});
      rows.push_back(row("ping_pong_byte_per_s", 0, cost.n, "rate", "byte/s"));
    }
    rows[1].value = std::fmax(rows[1].value, algbw_byte_per_s(series));
  }
  // At the largest size, which the user chose.
  const auto sums = by_size(all, "allreduce");
  if (sums.empty()) return rows;
  for (const Series& series : sums.back())
    rows.push_back(row("allreduce_" + series.algorithm + "_busbw", busbw_byte_per_s(series, ranks), series.cost().n,
                       "rate", "byte/s"));
  if (const double least = least_ring_speed(all, large_bytes); !std::isnan(least))
    rows.push_back(row("ring_speed_vs_mpi_least", least, sums.back().front().cost().n, "ratio", "1"));
  return rows;
}

Report::Report(const comm::Environment& env, const comm::Mesh& mesh, const Config& config)
    : env_(env), config_(config), bench_(env, mesh, config.run, "the network") {}

driver::Verification Report::verify(const std::vector<Series>& all) const {
  index_t checked = 0;
  for (const Series& series : all) {
    if (series.operation != "allreduce") continue;
    ++checked;
    if (series.wrong > 0)
      return {false, fmt::format("all-reduce {} of {} byte: {} elements over all ranks are not the sum",
                                 series.algorithm, series.bytes, series.wrong)};
  }
  for (const comm::TrafficEntry& entry : env_.traffic().entries()) {
    const bool equal = static_cast<double>(entry.sent_bytes) == entry.expected_bytes;
    if (!env_.world().all_of(equal))
      return {false,
              fmt::format("{} {}: the bytes sent are not those of the closed form", entry.operation, entry.algorithm)};
  }
  const double least = least_ring_speed(all, large_bytes);
  if (least < config_.least_speed)
    return {false, fmt::format("the ring has {:.3f} times MPI's speed, less than verify.least_speed = {}", least,
                               config_.least_speed)};
  const bool unasked = config_.least_speed > 0 && std::isnan(least);
  return {
      true,
      (checked == 0 ? "nothing to check" : fmt::format("{} sums are right, bytes as the closed form says", checked)) +
          (unasked ? "; verify.least_speed is not checked: it needs 64 KiB and several ranks with cores of their own"
                   : "")};
}

std::string Report::figure_of_merit(const std::vector<Series>& all) const {
  std::string line;
  const auto add = [&](const std::string& words) { line += (line.empty() ? "" : ", ") + words; };
  if (const auto sums = by_size(all, "allreduce"); !sums.empty()) {
    for (const Series& series : sums.back())
      add(fmt::format("{} {:.2f} GB/s busbw at {} byte", series.algorithm, 1e-9 * busbw_byte_per_s(series, env_.size()),
                      series.bytes));
    if (const double least = least_ring_speed(all, large_bytes); !std::isnan(least))
      add(fmt::format("ring at least {:.3f} times as fast as mpi from 64 KiB up", least));
  } else if (const auto balls = by_size(all, "ping_pong"); !balls.empty()) {
    add(fmt::format("latency {:.2f} us at {} byte", 1e6 * balls.front().front().cost().value,
                    balls.front().front().bytes));
    add(fmt::format("{:.2f} GB/s at {} byte", 1e-9 * algbw_byte_per_s(balls.back().front()),
                    balls.back().front().bytes));
  } else {
    add("one rank has nobody to play ping-pong with");
  }
  return line;
}

ExitCode Report::finish(const std::vector<Series>& all) {
  const driver::Verification verdict = verify(all);
  bench_.results().tables = tables(all, env_.size());
  bench_.results().summary = summary(all, env_.size());
  return bench_.finish(verdict, figure_of_merit(all));
}

}  // namespace partita::comm_bench
