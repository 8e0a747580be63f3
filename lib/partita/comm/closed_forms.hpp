// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>

// What a rank must have sent, in bytes: pure arithmetic that the counters are held to. n elements of `bytes` bytes over
// P ranks, segments cut by partition(n, P, .). Indices of ranks are meant mod P.

namespace partita::comm::closed_forms {

/// Every segment but one's own: P-1 steps that pass partial sums on. Over all ranks (P-1) n.
inline index_t ring_reduce_scatter_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return P == 1 ? 0 : (n - partition(n, P, rank).extent) * bytes;
}

/// Every segment but the right neighbour's, who owns it. Over all ranks (P-1) n.
inline index_t ring_all_gather_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return P == 1 ? 0 : (n - partition(n, P, (rank + 1) % P).extent) * bytes;
}

/// Both. Over all ranks exactly 2 (P-1) n.
inline index_t ring_allreduce_bytes(index_t n, index_t P, index_t rank, index_t bytes) {
  return ring_reduce_scatter_bytes(n, P, rank, bytes) + ring_all_gather_bytes(n, P, rank, bytes);
}

/// How many tree nodes rank holds when C chunks are shared by P ranks.
inline index_t tree_nodes(index_t C, index_t P, index_t rank) {
  const Slice mine = partition(C, P, rank);
  return static_cast<index_t>(tree_cover(C, mine.offset, mine.end()).size());
}

/// TreeAllreducePlan through MPI's collectives, payload: each node's slices to their owners, then my slice of the sum.
inline index_t tree_allreduce_mpi_bytes(index_t n, index_t C, index_t P, index_t rank, index_t bytes) {
  const index_t slice = partition(n, P, rank).extent;
  return P == 1 ? 0 : (tree_nodes(C, P, rank) * (n - slice) + slice) * bytes;
}

/// TreeAllreducePlan around the ring: in hop h = 1 .. P-1 a rank passes on the nodes of rank - h + 1, those slices
/// whose owner is at least h ranks from the origin; then the slices of the sum go round.
inline index_t tree_allreduce_ring_bytes(index_t n, index_t C, index_t P, index_t rank, index_t bytes) {
  index_t sent = 0;
  for (index_t hop = 1; hop < P; ++hop) {
    const index_t origin = (rank - hop + 1 + P) % P;
    for (index_t distance = hop; distance < P; ++distance)
      sent += tree_nodes(C, P, origin) * partition(n, P, (origin + distance) % P).extent;
  }
  return sent * bytes + ring_all_gather_bytes(n, P, rank, bytes);
}

}  // namespace partita::comm::closed_forms
