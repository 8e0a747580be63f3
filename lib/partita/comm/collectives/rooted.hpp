// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/collectives/reduce_scatter.hpp>

// Collectives in which one rank, the root, has or gets everything.

namespace partita::comm {

/// The root's values on every rank.
///
/// Shapes   inout (n), overwritten but on the root.
/// Traffic  operation "broadcast", algorithms binomial (up to 64 KiB) and chain: closed_forms::broadcast_bytes; mpi:
///          the root's payload.
template <class S>
class BroadcastPlan : public Plan<S> {
 public:
  BroadcastPlan(const Communicator& comm, Via how, index_t elements, int root, RingOptions options = {});
};

/// How values come to the root to be summed: MPI's MPI_Reduce; up a tree, each rank adding what its children send; or
/// all of them straight to the root, which adds them in the order of the ranks.
enum class Reduction { mpi, tree, central };

/// The root's inout(i) = sum over ranks of inout(i); others are left with parts of sums.
///
/// Shapes   inout (n), overwritten.
/// Traffic  operation "reduce", algorithms binomial (up to 64 KiB) and chain (tree), central: n elements from every
///          rank but the root; mpi: the same payload.
template <class S>
class ReducePlan : public Plan<S> {
 public:
  ReducePlan(const Communicator& comm, Reduction how, index_t elements, int root, RingOptions options = {});
};

/// The segments of all ranks, side by side on the root.
///
/// Shapes   input (my segment)   ->   output (segments.elements()) on the root, overwritten; else empty.
/// Traffic  operation "gather", algorithms direct: my segment, nothing from the root; mpi: the same payload.
/// Throws   Error where MPI cannot count the elements (mpi).
template <class S>
class GatherPlan : public Plan<S> {
 public:
  GatherPlan(const Communicator& comm, Via how, const Segments& segments, int root);
};

/// Each rank's segment from the root.
///
/// Shapes   input (segments.elements()) on the root, else empty   ->   output (my segment), overwritten.
/// Traffic  operation "scatter", algorithms direct: the root sends all segments but its own; mpi: the same payload.
/// Throws   Error where MPI cannot count the elements (mpi).
template <class S>
class ScatterPlan : public Plan<S> {
 public:
  ScatterPlan(const Communicator& comm, Via how, const Segments& segments, int root);
};

}  // namespace partita::comm
