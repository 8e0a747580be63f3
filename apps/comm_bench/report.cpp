// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "operations.hpp"

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

/// One number for each algorithm.
template <class Get>
std::vector<double> collect_fits(const std::vector<Fit>& fits, Get get) {
  std::vector<double> values;
  for (const Fit& fit : fits) values.push_back(get(fit));
  return values;
}

void add_fits(const std::vector<std::vector<Series>>& groups, metrics::Table& table) {
  std::vector<Fit> fits;
  for (std::size_t k = 0; k < groups.front().size(); ++k) fits.push_back(fit_of(groups, k));
  const auto column = [&](const char* name, const char* long_name, const char* units, auto get) {
    table.columns.push_back({name, {"algorithm"}, collect_fits(fits, get), describe(long_name, units)});
  };
  column("alpha_s", "fit of time = alpha + beta byte, from 5 sizes on", "s", [](const Fit& f) { return f.alpha_s; });
  column("beta_s_per_byte", "fit of time = alpha + beta byte, from 5 sizes on", "s/byte",
         [](const Fit& f) { return f.beta_s_per_byte; });
  column("fit_residual_rms", "root mean square of fit_residual", "1", [](const Fit& f) { return f.rms(); });
  std::vector<double> residuals;
  for (std::size_t size = 0; size < groups.size(); ++size)
    for (const Fit& fit : fits)
      residuals.push_back(fit.residuals.empty() ? metrics::not_a_number : fit.residuals[size]);
  table.columns.push_back({"fit_residual", {"byte", "algorithm"}, residuals, describe("(median - fit) / median", "1")});
}

metrics::Table table(const std::string& operation, const std::vector<std::vector<Series>>& groups) {
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
  column("busbw_byte_per_s", "algbw x the operation's factor", "byte/s",
         [](const Series& s, const Group&) { return busbw_byte_per_s(s); });
  column("speed_vs_mpi", "median time of MPI's over this one's", "1",
         [](const Series& s, const Group& same_size) { return speed_vs_mpi(s, same_size); });
  column("alone_s", "median time of a call that is started and finished", "s",
         [](const Series& s, const Group&) { return metrics::median(s.alone_s); });
  column("compute_s", "median time of the computing alone", "s",
         [](const Series& s, const Group&) { return metrics::median(s.compute_s); });
  column("overlapped_s", "median time of the computing between start and finish", "s",
         [](const Series& s, const Group&) { return metrics::median(s.overlapped_s); });
  column("overlap_of_communication", "max(0, 1 - (overlapped - compute) / alone), as OSU's", "1",
         [](const Series& s, const Group&) { return overlap_of_communication(s); });
  column("overlap_of_possible", "(alone + compute - overlapped) / min(alone, compute) within 0 .. 1, as IMB-NBC's", "1",
         [](const Series& s, const Group&) { return overlap_of_possible(s); });
  add_fits(groups, table);
  table.attributes = {{"bus_factor", groups.front().front().bus_factor}};
  return table;
}

metrics::SummaryRow row(std::string metric, double value, index_t n, const char* kind, const char* unit) {
  return {std::move(metric), value, metrics::not_a_number, metrics::not_a_number, n, kind, "within run", unit};
}

}  // namespace

std::vector<metrics::Table> tables(const std::vector<Series>& all) {
  std::vector<metrics::Table> made;
  for (const std::string& operation : measured(all)) made.push_back(table(operation, by_size(all, operation)));
  return made;
}

std::vector<metrics::SummaryRow> summary(const std::vector<Series>& all) {
  std::vector<metrics::SummaryRow> rows;
  for (const std::vector<Series>& group : by_size(all, std::string(ping_pong_word))) {
    const Series& series = group.front();
    if (rows.empty()) {
      const metrics::Interval cost = series.cost();
      rows.push_back({"ping_pong_latency_s", cost.value, cost.low, cost.high, cost.n, "cost", "within run", "s"});
      rows.push_back(row("ping_pong_byte_per_s", 0, cost.n, "rate", "byte/s"));
    }
    rows[1].value = std::fmax(rows[1].value, algbw_byte_per_s(series));
  }
  // At the largest size, which the user chose.
  for (const std::string& operation : measured(all)) {
    if (operation == ping_pong_word) continue;
    const auto groups = by_size(all, operation);
    for (const Series& series : groups.back())
      rows.push_back(row(fmt::format("{}_{}_busbw", operation, series.algorithm), busbw_byte_per_s(series),
                         series.cost().n, "rate", "byte/s"));
  }
  if (const double least = least_ring_speed(all, large_bytes); !std::isnan(least))
    rows.push_back(
        row("ring_speed_vs_mpi_least", least, by_size(all, "allreduce").back().front().cost().n, "ratio", "1"));
  return rows;
}

Report::Report(const comm::Environment& env, const comm::Mesh& mesh, const Config& config)
    : env_(env), config_(config), bench_(env, mesh, config.run, "the network") {}

driver::Verification Report::verify(const std::vector<Series>& all) const {
  index_t checked = 0;
  for (const Series& series : all) {
    if (series.operation == ping_pong_word) continue;
    ++checked;
    if (series.wrong > 0)
      return {false, fmt::format("{} {} of {} byte: {} elements over all ranks are wrong", series.operation,
                                 series.algorithm, series.bytes, series.wrong)};
  }
  for (const comm::TrafficEntry& entry : env_.traffic().entries()) {
    const bool equal = static_cast<double>(entry.sent_bytes) == entry.expected_bytes &&
                       static_cast<double>(entry.messages) == entry.expected_messages;
    if (!env_.world().all_of(equal))
      return {false, fmt::format("{} {}: bytes and messages are not those of the closed form", entry.operation,
                                 entry.algorithm)};
  }
  const double least = least_ring_speed(all, large_bytes);
  if (least < config_.least_speed)
    return {false, fmt::format("the ring has {:.3f} times MPI's speed, less than verify.least_speed = {}", least,
                               config_.least_speed)};
  const bool unasked = config_.least_speed > 0 && std::isnan(least);
  return {
      true,
      (checked == 0 ? "nothing to check"
                    : fmt::format("{} results are right, bytes as the closed forms say", checked)) +
          (unasked ? "; verify.least_speed is not checked: it needs 64 KiB and several ranks with cores of their own"
                   : "")};
}

std::string Report::figure_of_merit(const std::vector<Series>& all) const {
  std::string line;
  const auto add = [&](const std::string& words) { line += (line.empty() ? "" : ", ") + words; };
  const std::vector<std::string> names = measured(all);
  if (names.empty()) return "one rank has nobody to play ping-pong with";
  const bool sums = std::ranges::find(names, "allreduce") != names.end();
  const std::string first = sums ? "allreduce" : names.back();
  if (first != ping_pong_word) {
    const auto groups = by_size(all, first);
    for (const Series& series : groups.back())
      add(fmt::format("{} {} {:.2f} GB/s busbw at {} byte", first, series.algorithm, 1e-9 * busbw_byte_per_s(series),
                      series.bytes));
    if (const double least = least_ring_speed(all, large_bytes); !std::isnan(least))
      add(fmt::format("ring at least {:.3f} times as fast as mpi from 64 KiB up", least));
  } else {
    const auto balls = by_size(all, first);
    add(fmt::format("latency {:.2f} us at {} byte", 1e6 * balls.front().front().cost().value,
                    balls.front().front().bytes));
    add(fmt::format("{:.2f} GB/s at {} byte", 1e-9 * algbw_byte_per_s(balls.back().front()),
                    balls.back().front().bytes));
  }
  return line;
}

ExitCode Report::finish(const std::vector<Series>& all) {
  const driver::Verification verdict = verify(all);
  bench_.results().tables = tables(all);
  bench_.results().summary = summary(all);
  return bench_.finish(verdict, figure_of_merit(all));
}

}  // namespace partita::comm_bench
