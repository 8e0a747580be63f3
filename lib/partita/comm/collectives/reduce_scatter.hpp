// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/collectives/plan.hpp>
#include <partita/comm/collectives/schedule.hpp>

namespace partita::comm {

/// My segment of inout = the sum over ranks of that segment. The other segments are left with parts of sums.
///
/// Shapes   inout (segments.elements()), overwritten.
/// Traffic  operation "reduce_scatter", algorithms ring: closed_forms::ring_reduce_scatter_bytes; mpi: the payload.
/// Throws   Error where MPI cannot count the elements (mpi). MPI's own is waited for in start.
template <class S>
class ReduceScatterPlan : public Plan<S> {
 public:
  ReduceScatterPlan(const Communicator& comm, Via how, const Segments& segments, RingOptions options = {});
};

/// output = the segments of all ranks, side by side.
///
/// Shapes   input (my segment), which may be its place in the output   ->   output (segments.elements()), overwritten.
/// Traffic  operation "all_gather", algorithms ring: closed_forms::ring_all_gather_bytes; mpi: the payload.
/// Throws   Error where MPI cannot count the elements (mpi).
template <class S>
class AllGatherPlan : public Plan<S> {
 public:
  AllGatherPlan(const Communicator& comm, Via how, const Segments& segments, RingOptions options = {});
};

}  // namespace partita::comm
