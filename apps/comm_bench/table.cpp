// SPDX-License-Identifier: BSD-3-Clause
#include "table.hpp"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace partita::comm_bench {

void Table::heading(const std::string& title, bool comparable) const {
  if (!speaks_) return;
  fmt::print("\n# {}, {} rank{}\n", title, ranks_, ranks_ > 1 ? "s" : "");
  fmt::print("# time: median of a call on the slowest rank, with its 95 % interval; MB = 10^6 byte\n");
  if (!comparable) fmt::print("# speed_vs_mpi is left out: it needs several ranks, each with cores of its own\n");
  fmt::print("#{:>11} {:>9} {:>12} {:>12} {:>12} {:>11} {:>11} {:>12}\n", "byte", "algorithm", "time_us", "low_us",
             "high_us", "algbw_MB/s", "busbw_MB/s", "speed_vs_mpi");
}

void Table::rows(std::span<const Series> same_size) const {
  if (!speaks_) return;
  for (const Series& series : same_size) {
    const metrics::Interval cost = series.cost();
    const double speed = speed_vs_mpi(series, same_size);
    fmt::print("{:>12} {:>9} {:>12.2f} {:>12.2f} {:>12.2f} {:>11.1f} {:>11.1f} {:>12}\n", series.bytes,
               series.algorithm, 1e6 * cost.value, 1e6 * cost.low, 1e6 * cost.high, 1e-6 * algbw_byte_per_s(series),
               1e-6 * busbw_byte_per_s(series, ranks_),
               std::isnan(speed) || series.algorithm == "mpi" ? "" : fmt::format("{:.3f}", speed));
  }
  std::fflush(stdout);
}

}  // namespace partita::comm_bench
