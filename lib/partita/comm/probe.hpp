// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include <partita/comm/communicator.hpp>

namespace partita::comm {

/// Ping-pong of host memory between ranks a and b of comm.
///
/// Runs     collective over comm; ranks that take no part wait in a barrier at the end.
/// Returns  on a: for each repeat, seconds of one way (half of there and back); on other ranks nothing.
std::vector<double> ping_pong_s(const Communicator& comm, int a, int b, index_t bytes, index_t repeats,
                                index_t warmup = 4);

/// The link between two ranks as latency and bandwidth.
struct Link {
  double latency_s = 0.0;         ///< median one-way time of 8 bytes
  double bandwidth_byte_s = 0.0;  ///< of 4 MiB, by the median one-way time
};

/// Known on all ranks of comm; collective. {0, infinity} when a == b.
Link probe_link(const Communicator& comm, int a, int b);

/// Bytes per second that a rank sends when all send to the right neighbour and receive from the left at once, as in the
/// steps of an all-reduce: 4 MiB, median, of the slowest rank. Where ranks share a node they share its memory, and a
/// core copies what arrives as well as what leaves: less than the ping-pong of two. Known on all ranks; collective.
/// Infinity at one rank.
double shift_byte_per_s(const Communicator& comm);

/// A look at a rank's clock.
struct ClockOffset {
  std::int64_t offset_ns = 0;  ///< what to add to the rank's now_ns() to get that of root at the same instant
  std::int64_t at_ns = 0;      ///< the rank's now_ns() when that was so
  std::int64_t error_ns = 0;   ///< most by which the offset is wrong: half the round trip, rounded up
};

/// For every rank; known on root, elsewhere empty. Cristian's method: of `rounds` exchanges the one that came back
/// soonest. Two looks tell how the clocks drift apart in between. Collective.
std::vector<ClockOffset> clock_offsets(const Communicator& comm, int root = 0, int rounds = 32);

}  // namespace partita::comm
