// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/metrics/statistics.hpp>

#include "fit.hpp"

namespace partita::comm_bench {

/// Samples of one operation, algorithm and size.
struct Series {
  std::string operation = {};       ///< "ping_pong", "allreduce", ...
  std::string algorithm = {};       ///< "mpi", "ring", ...
  double bus_factor = 1;            ///< bus bandwidth = bytes / s x this
  index_t bytes = 0;                ///< see the operation's title
  index_t calls = 1;                ///< per sample, so that short calls are long against a reading of the clock
  std::vector<double> time_s = {};  ///< of one call, on the slowest rank; ping-pong: one way
  index_t wrong = 0;                ///< elements of a checked call, over all ranks, that were not what they must be
  bool comparable = true;  ///< several ranks, each with cores of its own: one algorithm may be held against another

  // Of one call started, followed by computing with progress in between, and finished; empty where not measured.
  std::vector<double> alone_s = {};       ///< started and finished at once
  std::vector<double> compute_s = {};     ///< the computing alone
  std::vector<double> overlapped_s = {};  ///< both

  metrics::Interval cost() const { return metrics::median_ci(time_s); }
};

/// Bytes over the median time.
double algbw_byte_per_s(const Series& series);

/// What that means on a link, whatever the number of ranks: algbw x bus_factor.
double busbw_byte_per_s(const Series& series);

/// The share of the communication that computing hid: max(0, 1 - (overlapped - compute) / alone), of medians. NaN where
/// not measured or not comparable.
/// Source   OSU Micro-Benchmarks, print_stats_nbc in util/osu_util_mpi.c.
double overlap_of_communication(const Series& series);

/// The share of what could be hidden at all: max(0, min(1, (alone + compute - overlapped) / min(alone, compute))).
/// Source   Intel MPI Benchmarks User Guide, Measuring Communication and Computation Overlap (IMB-NBC).
double overlap_of_possible(const Series& series);

/// How many times as fast as MPI's the algorithm is, medians compared; `same_size` holds all series of one size.
/// NaN when MPI's is not among them, or where ranks wait for time slices and not for messages (or nobody waits).
double speed_vs_mpi(const Series& series, std::span<const Series> same_size);

/// The series of one operation, grouped by size, in order.
std::vector<std::vector<Series>> by_size(const std::vector<Series>& all, const std::string& operation);
/// The names of the operations that were measured, in order.
std::vector<std::string> measured(const std::vector<Series>& all);

/// The k-th algorithm's median times over all sizes as a line; no fit where ranks wait for time slices.
Fit fit_of(const std::vector<std::vector<Series>>& groups, std::size_t algorithm);

/// The least speed_vs_mpi of the ring's all-reduce among sizes from `bytes` up; NaN where not both were measured.
double least_ring_speed(const std::vector<Series>& all, index_t bytes);

}  // namespace partita::comm_bench
