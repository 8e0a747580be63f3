// SPDX-License-Identifier: BSD-3-Clause
#include "table.hpp"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace partita::comm_bench {
namespace {

/// Nothing where there is no number.
std::string number(double value, const char* format) {
  return std::isnan(value) ? "" : fmt::format(fmt::runtime(format), value);
}

}  // namespace

void Table::heading(std::string_view title, std::string_view bus_formula, bool comparable) const {
  if (!speaks_) return;
  fmt::print("\n# {}, {} rank{}\n", title, ranks_, ranks_ > 1 ? "s" : "");
  fmt::print("# time: median of a call on the slowest rank, with its 95 % interval; MB = 10^6 byte; ");
  fmt::print("busbw = algbw x {}\n", bus_formula);
  if (!comparable)
    fmt::print("# speed_vs_mpi, overlap and fits are left out: they need several ranks, each with cores of its own\n");
  fmt::print("#{:>11} {:>9} {:>12} {:>12} {:>12} {:>11} {:>11} {:>12} {:>9} {:>9}\n", "byte", "algorithm", "time_us",
             "low_us", "high_us", "algbw_MB/s", "busbw_MB/s", "speed_vs_mpi", "ovl_comm%", "ovl_poss%");
}

void Table::rows(std::span<const Series> same_size) const {
  if (!speaks_) return;
  for (const Series& series : same_size) {
    const metrics::Interval cost = series.cost();
    const std::string speed = series.algorithm == "mpi" ? "" : number(speed_vs_mpi(series, same_size), "{:.3f}");
    fmt::print("{:>12} {:>9} {:>12.2f} {:>12.2f} {:>12.2f} {:>11.1f} {:>11.1f} {:>12} {:>9} {:>9}\n", series.bytes,
               series.algorithm, 1e6 * cost.value, 1e6 * cost.low, 1e6 * cost.high, 1e-6 * algbw_byte_per_s(series),
               1e-6 * busbw_byte_per_s(series), speed, number(100 * overlap_of_communication(series), "{:.1f}"),
               number(100 * overlap_of_possible(series), "{:.1f}"));
  }
  std::fflush(stdout);
}

void Table::fits(const std::vector<Series>& all, const std::string& operation) const {
  if (!speaks_) return;
  const auto groups = by_size(all, operation);
  for (std::size_t k = 0; k < groups.front().size(); ++k)
    if (const Fit fit = fit_of(groups, k); !std::isnan(fit.alpha_s))
      fmt::print(
          "# fit {}: {:.2f} us + {:.3g} ns/byte ({:.2f} GB/s); relative residuals {:.1f} % (rms), {:.1f} % at most\n",
          groups.front()[k].algorithm, 1e6 * fit.alpha_s, 1e9 * fit.beta_s_per_byte, 1e-9 / fit.beta_s_per_byte,
          100 * fit.rms(), 100 * fit.worst());
  std::fflush(stdout);
}

}  // namespace partita::comm_bench
