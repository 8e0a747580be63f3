// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::comm_bench {

/// Samples of one operation, algorithm and size.
struct Series {
  std::string operation = {};       ///< "ping_pong", "allreduce"
  std::string algorithm = {};       ///< "mpi", "ring"
  index_t bytes = 0;                ///< of one message; of the buffer that is summed
  index_t calls = 1;                ///< per sample, so that short calls are long against a reading of the clock
  std::vector<double> time_s = {};  ///< of one call, on the slowest rank; ping-pong: one way
  index_t wrong = 0;                ///< elements of a checked call, over all ranks, that were not the sum
  bool comparable = true;  ///< several ranks, each with cores of its own: one algorithm may be held against another

  metrics::Interval cost() const { return metrics::median_ci(time_s); }
};

/// Bytes over the median time.
double algbw_byte_per_s(const Series& series);

/// What that means on a link, whatever the number of ranks: algbw x 2 (P-1) / P for the all-reduce, x 1 for ping-pong.
double busbw_byte_per_s(const Series& series, int ranks);

/// How many times as fast as MPI's the algorithm is, medians compared; `same_size` holds all series of one size.
/// NaN when MPI's is not among them, or where ranks wait for time slices and not for messages (or nobody waits).
double speed_vs_mpi(const Series& series, std::span<const Series> same_size);

/// The series of one operation, grouped by size, in order.
std::vector<std::vector<Series>> by_size(const std::vector<Series>& all, const std::string& operation);

/// The least speed_vs_mpi of the ring among sizes from `bytes` up; NaN where not both were measured.
double least_ring_speed(const std::vector<Series>& all, index_t bytes);

}  // namespace partita::comm_bench
