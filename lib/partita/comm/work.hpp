// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>

#include <partita/core/index.hpp>

// What a rank does in a collective, counted before it runs: messages and bytes on the link, bytes of local sums and
// copies. With a calibrated machine that is a prediction of its seconds. Pure arithmetic.

namespace partita::comm {

/// Rates of one rank of a machine: see driver/calibration.hpp.
struct MachineRates {
  double latency_s = 0.0;         ///< of a message, one way
  double link_byte_per_s = 0.0;   ///< of long messages, all ranks sending and receiving
  double triad_byte_per_s = 0.0;  ///< memory, all ranks at work
};

/// One after the other: what cannot be overlapped is not, and what is overlapped makes the prediction an upper one.
struct Work {
  double messages = 0.0;      ///< that wait for each other
  double link_bytes = 0.0;    ///< in these messages
  double memory_bytes = 0.0;  ///< read and written by sums and copies

  constexpr Work& operator+=(const Work& more) {
    messages += more.messages;
    link_bytes += more.link_bytes;
    memory_bytes += more.memory_bytes;
    return *this;
  }
  friend constexpr bool operator==(const Work&, const Work&) = default;
};

/// messages x latency + link_bytes / link + memory_bytes / triad.
constexpr double predicted_s(const Work& work, const MachineRates& rates) {
  return work.messages * rates.latency_s + work.link_bytes / rates.link_byte_per_s +
         work.memory_bytes / rates.triad_byte_per_s;
}

/// into[i] += from[i] of so many bytes: two reads and a write.
constexpr double sum_bytes(index_t bytes) { return 3.0 * static_cast<double>(bytes); }
/// into[i] = from[i]: a read and a write.
constexpr double copy_bytes(index_t bytes) { return 2.0 * static_cast<double>(bytes); }

/// MPI_Allreduce of so many bytes over P ranks by the algorithm that MPICH and Open MPI usually take. Nobody sees the
/// messages of MPI's own collectives, so this is a model, not a count.
///
///   up to 2 KiB      recursive doubling: log2 P messages of all bytes, each added
///   longer           Rabenseifner (2004): reduce-scatter by halving, all-gather by doubling; 2 log2 P messages,
///                    2 (P-1)/P of the bytes, of which half is added
///   P no power of 2  some ranks hand their values to a neighbour first and get the sum at the end: two messages more
///                    of all bytes, one of them added
constexpr Work mpi_allreduce_work(index_t bytes, index_t P) {
  if (P == 1) return {};
  const auto taking_part = static_cast<index_t>(std::bit_floor(static_cast<std::uint64_t>(P)));
  const auto rounds = static_cast<double>(std::bit_width(static_cast<std::uint64_t>(taking_part)) - 1);
  const double all = static_cast<double>(bytes);
  Work work;
  if (bytes <= 2048) {
    work = {rounds, rounds * all, rounds * sum_bytes(bytes)};
  } else {
    const double share = static_cast<double>(taking_part - 1) / static_cast<double>(taking_part);
    work = {2 * rounds, 2 * share * all, share * sum_bytes(bytes)};
  }
  if (taking_part != P) work += {2, 2 * all, sum_bytes(bytes)};
  return work;
}

}  // namespace partita::comm
