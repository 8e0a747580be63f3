// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <mpi.h>

#include <partita/core/float16.hpp>
#include <partita/core/index.hpp>

// What the sources of comm share about MPI itself: errors, datatypes, counts.

namespace partita::comm {

/// How values of several ranks are combined.
enum class Op { sum, min, max };

namespace detail {

/// The communicators of this library are set to MPI_ERRORS_RETURN: MPI reports, and guard() decides.
/// Throws   Error naming the call, the axis and MPI's own words when code is not MPI_SUCCESS.
void check(int code, const char* call, std::string_view axis = {});

/// Counts of MPI 3 are int: bigger payloads go in pieces of this many elements.
constexpr index_t max_count = INT_MAX;

/// The count as MPI wants it.
/// Throws   Error naming the call when it does not fit.
int mpi_count(index_t count, const char* call);

/// Calls f(offset, count) for the pieces of [0, n) that MPI can count; every rank cuts the same n alike.
template <class F>
void for_each_piece(index_t n, F f) {
  for (index_t offset = 0; offset < n; offset += max_count)
    f(offset, static_cast<int>(n - offset < max_count ? n - offset : max_count));
}

template <class T>
MPI_Datatype mpi_type() {
  if constexpr (std::is_same_v<T, float>)
    return MPI_FLOAT;
  else if constexpr (std::is_same_v<T, double>)
    return MPI_DOUBLE;
  else if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>)
    return MPI_UINT16_T;  // to be moved: MPI adds them with an operation of ours
  else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
    return sizeof(T) == 8 ? MPI_INT64_T : sizeof(T) == 4 ? MPI_INT32_T : sizeof(T) == 2 ? MPI_INT16_T : MPI_INT8_T;
  else {
    static_assert(std::is_integral_v<T>, "mpi_type: float, double or an integer");
    return sizeof(T) == 8 ? MPI_UINT64_T : sizeof(T) == 4 ? MPI_UINT32_T : sizeof(T) == 2 ? MPI_UINT16_T : MPI_UINT8_T;
  }
}

/// Bytes of an element.
inline index_t mpi_size(MPI_Datatype type) {
  int bytes = 0;
  MPI_Type_size(type, &bytes);
  return bytes;
}

inline MPI_Op mpi_op(Op op) { return op == Op::sum ? MPI_SUM : op == Op::min ? MPI_MIN : MPI_MAX; }

/// Tags from here on belong to the collectives of this library; callers of send and receive stay below. MPI promises
/// tags up to 32767.
constexpr int first_own_tag = 16384;
constexpr int last_own_tag = 32767;
constexpr int probe_tag = first_own_tag;
constexpr int check_tag = probe_tag + 1;
constexpr int first_claimed_tag = check_tag + 1;

}  // namespace detail
}  // namespace partita::comm
