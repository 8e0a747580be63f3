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

/// The exchange of a domain cut unevenly: neighbours on a line give each other elements of unlike numbers.
///
/// Planning is not collective, so nobody compares: what a rank sends to the left must be what its left neighbour
/// expects from the right, and so on. A message longer than expected is MPI's truncation error, a shorter one leaves
/// the rest of the output as it was, and one that nobody sends is waited for without end.
///
/// Types    those of all plans, and std::int32_t: payload is moved alone.
/// Shapes   input (to_left + to_right)   ->   output (from_left + from_right), overwritten.
/// Traffic  operation "halo", algorithm direct: closed_forms::borders_bytes; no message for no elements.
/// Throws   ShapeError for a negative number, or one beyond an end of the line that is not 0.
template <class S>
class BordersPlan : public Plan<S> {
 public:
  BordersPlan(const Communicator& comm, const Borders& borders);
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
