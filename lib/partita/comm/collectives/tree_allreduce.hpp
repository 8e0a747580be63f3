// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/core/tree.hpp>

namespace partita::comm {

/// The nodes that a sum over chunks starts from. Each rank has those that its chunks fill, one after the other.
struct TreeNodes {
  index_t elements = 0;  ///< of a node that are summed
  index_t chunks = 1;    ///< C, leaves of the tree
  index_t stride = 0;    ///< from one node to the next, in elements; 0: they are adjacent
  /// Rank r has the leaves [bounds[r], bounds[r + 1]), which may be none: P + 1 numbers that ascend from 0 to C. Where
  /// there are none, partition(C, P, r).
  std::vector<index_t> bounds = {};

  Leaves leaves() const { return {chunks, bounds}; }
};

/// The nodes of the tree that a rank's chunks fill, ascending; none where chunks are fewer than ranks.
/// Throws   ShapeError for chunks < 1.
std::vector<Node> my_nodes(const Communicator& comm, index_t chunks);
/// The same of leaves that may be shared unevenly.
/// Throws   ShapeError for chunks < 1, or bounds that do not fit.
std::vector<Node> my_nodes(const Communicator& comm, const TreeNodes& nodes);

/// The all-reduce of deterministic mode: sum = the binary tree sum over C chunks, the same bits for any number of
/// ranks and any route (core/tree.hpp says which sum).
///
/// Each rank hands in the sums of the largest tree nodes that its chunks fill (my_nodes). Communication only moves:
/// segment q of every node goes to rank q, who adds in tree order; then the segments of the root go to everybody.
///
///     C = 5 over two ranks: partition gives rank 0 the chunks 0 1 2, rank 1 the chunks 3 4
///
///                root
///             ____|____
///            |         |
///           0-2       3-4       rank 0 hands in 0-2, rank 1 hands in 3-4: n elements each
///          __|__      _|_
///         |     |    |   |      rank 0 gets the first half of 3-4 and adds it to its own;
///        0-1    2    3   4      rank 1 gets the second half of 0-2 and adds its own to it;
///        _|_                    then each gives its half of the root to the other
///       |   |
///       0   1
///
/// how      mpi: MPI_Alltoallv and MPI_Allgatherv; else bundles travel around the ring hop by hop, then its all-gather.
/// Shapes   nodes (elements of the last one behind strides of the others), left as they are   ->   sum (n),
///          overwritten.
/// Memory   what arrives and leaves: n / P elements of each node, and my nodes.
/// Traffic  operation "tree_allreduce", closed_forms::tree_allreduce_{mpi,ring}_bytes.
/// Runs     planning is collective (mpi: duplicates the communicator).
/// Throws   ShapeError for chunks < 1, or bounds that do not fit; Error when MPI cannot count a message.
template <class S>
class TreeAllreducePlan : public Plan<S> {
 public:
  TreeAllreducePlan(const Communicator& comm, Allreduce how, const TreeNodes& nodes, RingOptions options = {});
};

/// The same sum, of which each rank gets its segment alone.
///
/// Shapes   nodes, left as they are   ->   sum (my segment), overwritten.
/// Traffic  operation "tree_reduce_scatter", closed_forms::tree_reduce_scatter_{mpi,ring}_bytes.
/// Throws   ShapeError for chunks < 1, bounds that do not fit, or segments of other elements; Error when MPI cannot
///          count a message.
template <class S>
class TreeReduceScatterPlan : public Plan<S> {
 public:
  TreeReduceScatterPlan(const Communicator& comm, Allreduce how, const TreeNodes& nodes, const Segments& segments);
};

}  // namespace partita::comm
