// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/collectives/reduce_scatter.hpp>

// Collectives in which payload changes hands and nothing is summed.

namespace partita::comm {

/// The shuffle: segment q of every rank's input goes to rank q.
///
/// Shapes   input (segments.elements())   ->   output (P, my segment): what ranks 0, 1, ... sent me; overwritten.
/// Traffic  operation "all_to_all", algorithms pairwise: all segments but mine; mpi: the same payload.
/// Throws   Error where MPI cannot count the elements (mpi).
template <class S>
class AllToAllPlan : public Plan<S> {
 public:
  AllToAllPlan(const Communicator& comm, Via how, const Segments& segments);
};

/// The stencil's exchange: neighbours on a line, or a circle, give each other the outermost elements of their interior.
///
/// Shapes   inout (halo + interior + halo): the outer parts overwritten, but at the ends of a line. One rank alone is
///          left as it is.
/// Traffic  operation "halo", algorithm direct: `halo` elements to each neighbour.
/// Throws   ShapeError for a halo wider than the interior.
template <class S>
class HaloPlan : public Plan<S> {
 public:
  HaloPlan(const Communicator& comm, index_t interior, index_t halo, bool periodic);
};

/// n elements from one rank to another. Collective in that all ranks plan it; only the two take part.
///
/// Shapes   inout (n): read on `from`, overwritten on `to`; elsewhere (0).
/// Traffic  operation "transfer", algorithm direct: n elements from `from`.
template <class S>
class TransferPlan : public Plan<S> {
 public:
  TransferPlan(const Communicator& comm, index_t elements, int from, int to);
};

}  // namespace partita::comm
