// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/comm/mpi_support.hpp>
#include <partita/core/types.hpp>

namespace partita::comm::detail {

/// Where what MPI sends and receives lives: the memory of Exec where MPI takes its pointers, else the host's.
enum class Side { exec, host };

template <Side side>
using Space = std::conditional_t<side == Side::exec, Exec, HostExec>;

/// A piece to copy: into[to + i] = from[at + i], i in [0, extent).
struct Copy {
  index_t at = 0;
  index_t to = 0;
  index_t extent = 0;
};

/// a and b as one; numbers of 16 bits are added as floats and rounded.
template <Op op, class S>
KOKKOS_INLINE_FUNCTION S combined(S a, S b) {
  if constexpr (op == Op::sum)
    return S(a + b);
  else if constexpr (op == Op::max)
    return a < b ? b : a;
  else
    return b < a ? b : a;
}

/// into[i] = combined(into[i], from[i]), i in [0, n), of ranges that do not overlap.
/// On a host backend a piece too small to be worth waking threads for is done by the caller: the same operations, the
/// same bits. Enqueued on exec.
template <Side side, class S>
void combine(const Space<side>& exec, Op op, const S* from, S* into, index_t n);

/// into[i] = from[i], i in [0, n), of ranges that do not overlap. Enqueued on exec.
template <Side side, class S>
void copy(const Space<side>& exec, const S* from, S* into, index_t n);

/// rows[k] is rows + k * n. For each pair of `merges` (count, 2), in order: rows[pair 0] += rows[pair 1]. Enqueued.
template <Side side, class S>
void add_merges(const Space<side>& exec, const index_t* merges, index_t count, S* rows, index_t n);

/// All of copies (count), of which the longest has `longest` elements. Enqueued.
template <Side side, class S>
void copy_pieces(const Space<side>& exec, const Copy* copies, index_t count, index_t longest, const S* from, S* into);

}  // namespace partita::comm::detail
