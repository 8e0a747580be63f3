// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/figure_of_merit.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include <partita/metrics/efficiency.hpp>

namespace partita::driver {
namespace {

const metrics::SummaryRow* find(const std::vector<metrics::SummaryRow>& rows, const std::string& metric) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& each) { return each.metric == metric; });
  return row == rows.end() ? nullptr : &*row;
}

metrics::SummaryRow derived(std::string metric, double value, index_t n, std::string kind, std::string unit) {
  return {std::move(metric), value,        metrics::not_a_number, metrics::not_a_number, n,
          std::move(kind),   "within run", std::move(unit)};
}

// Of a mesh axis; of what is none (the world's name) all.
index_t ranks_of(const metrics::RunHeader& header, const std::string& axis) {
  const auto at = std::find(header.mesh_axes.begin(), header.mesh_axes.end(), axis) - header.mesh_axes.begin();
  if (at == std::ssize(header.mesh_axes)) return std::ssize(header.ranks);
  index_t extent = 1;
  for (const metrics::RankInfo& rank : header.ranks)
    if (at < std::ssize(rank.coordinates))
      extent = std::max(extent, rank.coordinates[static_cast<std::size_t>(at)] + 1);
  return extent;
}

}  // namespace

std::vector<metrics::SummaryRow> summarise(const metrics::StepSeries& series, const metrics::RunHeader& header,
                                           const metrics::RunResults& results, const Workload& work) {
  std::vector<metrics::SummaryRow> rows = series.summary();
  if (work.summary) std::ranges::move(work.summary(results), std::back_inserter(rows));
  const metrics::SummaryRow* step = find(rows, "step_s");
  if (step == nullptr || !(step->value > 0)) return rows;
  const index_t n = step->n;
  const double step_s = step->value, flop_per_s = work.flop_per_step / step_s;  // rows move as they grow
  if (const metrics::SummaryRow* rate = find(rows, "samples_per_s"); work.tokens_per_sample > 0 && rate != nullptr)
    rows.push_back(
        derived("tokens_per_s", rate->value * static_cast<double>(work.tokens_per_sample), n, "rate", "1/s"));
  rows.push_back(derived("flop_per_s", flop_per_s, n, "rate", "1/s"));
  for (const metrics::CalibrationEntry& entry : header.calibration) {
    if (entry.name != "gemm_flop_per_s") continue;
    const double peak = entry.value * static_cast<double>(header.ranks.size());
    rows.push_back(derived("mfu", metrics::mfu(work.flop_per_step, step_s, peak), n, "ratio", "1"));
    for (const FlopFormula& formula : work.flop_formulas)
      rows.push_back(derived(formula.metric, metrics::mfu(formula.flop_per_step, step_s, peak), n, "ratio", "1"));
  }
  for (const metrics::TrafficRow& row : results.traffic) {
    const double slowest_s = row.seconds.empty() ? 0 : *std::max_element(row.seconds.begin(), row.seconds.end());
    const auto P = static_cast<double>(ranks_of(header, row.axis));
    if (P < 2 || !(slowest_s > 0)) continue;
    const auto bytes = static_cast<double>(*std::max_element(row.sent_bytes.begin(), row.sent_bytes.end()));
    // For MPI's own collectives the payload is counted: the ring's 2 (P-1) / P of it is what crosses the busiest link.
    const bool sums = row.kind == "allreduce" || row.kind == "norm_allreduce" || row.kind == "sync_batchnorm";
    const double factor = row.algorithm == "mpi" && sums ? 2 * (P - 1) / P : 1;
    const index_t calls = *std::max_element(row.calls.begin(), row.calls.end());  // some ranks may have none
    std::string name = (header.mesh_axes.size() > 1 ? row.axis + "_" : std::string()) + row.kind + "_busbw";
    if (find(rows, name) != nullptr) name += "_" + row.algorithm;
    rows.push_back(derived(std::move(name), factor * bytes / slowest_s, calls, "rate", "byte/s"));
  }
  return rows;
}

std::string figure_of_merit(const metrics::RunHeader& header, const metrics::RunResults& results,
                            const Verification& verdict, const std::string& path) {
  const metrics::SummaryRow* rate = find(results.summary, "samples_per_s");
  const metrics::SummaryRow* step = find(results.summary, "step_s");
  const auto app = std::get<std::string>(header.attributes.at("app"));
  std::string line = app + ": ";
  if (rate != nullptr && step != nullptr && step->n > 0) {
    line += fmt::format("{:.1f} samples/s on {} rank{}, step {:.4g} ms", rate->value, header.ranks.size(),
                        header.ranks.size() > 1 ? "s" : "", 1e3 * step->value);
    if (std::isfinite(step->ci_low)) line += fmt::format(" [{:.4g}, {:.4g}]", 1e3 * step->ci_low, 1e3 * step->ci_high);
    line += fmt::format(" (median of {} steps)", step->n);
  } else {
    line += "no step was timed";
  }
  return line +
         fmt::format("; record {}; verification {}: {}", path, verdict.passed ? "passed" : "FAILED", verdict.text);
}

}  // namespace partita::driver
