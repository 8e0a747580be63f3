// SPDX-License-Identifier: BSD-3-Clause
#include "series.hpp"

#include <cmath>
#include <limits>

#include <partita/metrics/efficiency.hpp>

namespace partita::comm_bench {

double algbw_byte_per_s(const Series& series) { return static_cast<double>(series.bytes) / series.cost().value; }

double busbw_byte_per_s(const Series& series, int ranks) {
  const bool sums = series.operation == "allreduce";
  return algbw_byte_per_s(series) * (sums ? metrics::busbw_factor_allreduce(ranks) : 1);
}

double speed_vs_mpi(const Series& series, std::span<const Series> same_size) {
  for (const Series& other : same_size)
    if (other.algorithm == "mpi" && series.comparable) return other.cost().value / series.cost().value;
  return std::numeric_limits<double>::quiet_NaN();
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

double least_ring_speed(const std::vector<Series>& all, index_t bytes) {
  double least = std::numeric_limits<double>::quiet_NaN();
  for (const std::vector<Series>& group : by_size(all, "allreduce"))
    for (const Series& series : group)
      if (series.algorithm == "ring" && series.bytes >= bytes) least = std::fmin(least, speed_vs_mpi(series, group));
  return least;
}

}  // namespace partita::comm_bench
