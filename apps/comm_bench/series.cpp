// SPDX-License-Identifier: BSD-3-Clause
#include "series.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace partita::comm_bench {
namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

/// f(alone, compute, overlapped) of the medians.
template <class F>
double of_medians(const Series& series, const F& f) {
  if (!series.comparable || series.overlapped_s.empty()) return not_known;
  return f(metrics::median(series.alone_s), metrics::median(series.compute_s), metrics::median(series.overlapped_s));
}

}  // namespace

double algbw_byte_per_s(const Series& series) { return static_cast<double>(series.bytes) / series.cost().value; }

double busbw_byte_per_s(const Series& series) { return algbw_byte_per_s(series) * series.bus_factor; }

double overlap_of_communication(const Series& series) {
  return of_medians(series, [](double alone, double compute, double overlapped) {
    return std::max(0.0, 1 - (overlapped - compute) / alone);
  });
}

double overlap_of_possible(const Series& series) {
  return of_medians(series, [](double alone, double compute, double overlapped) {
    return std::clamp((alone + compute - overlapped) / std::min(alone, compute), 0.0, 1.0);
  });
}

double speed_vs_mpi(const Series& series, std::span<const Series> same_size) {
  for (const Series& other : same_size)
    if (other.algorithm == "mpi" && series.comparable) return other.cost().value / series.cost().value;
  return not_known;
}

std::vector<std::vector<Series>> by_size(const std::vector<Series>& all, const std::string& operation) {
  std::vector<std::vector<Series>> groups;
  for (const Series& series : all) {
    if (series.operation != operation) continue;
    if (groups.empty() || groups.back().front().bytes != series.bytes) groups.emplace_back();
    groups.back().push_back(series);
  }
  return groups;
}

std::vector<std::string> measured(const std::vector<Series>& all) {
  std::vector<std::string> names;
  for (const Series& series : all)
    if (std::ranges::find(names, series.operation) == names.end()) names.push_back(series.operation);
  return names;
}

Fit fit_of(const std::vector<std::vector<Series>>& groups, std::size_t algorithm) {
  std::vector<index_t> bytes;
  std::vector<double> time_s;
  for (const std::vector<Series>& group : groups) {
    if (!group[algorithm].comparable) return {};
    bytes.push_back(group[algorithm].bytes);
    time_s.push_back(group[algorithm].cost().value);
  }
  return fit(bytes, time_s);
}

double least_ring_speed(const std::vector<Series>& all, index_t bytes) {
  double least = not_known;
  for (const std::vector<Series>& group : by_size(all, "allreduce"))
    for (const Series& series : group)
      if (series.algorithm == "ring" && series.bytes >= bytes) least = std::fmin(least, speed_vs_mpi(series, group));
  return least;
}

}  // namespace partita::comm_bench
