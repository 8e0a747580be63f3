// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/core/tree.hpp>

namespace partita::comm {

namespace detail {
template <class S, Side side>
class TreePlan;
}

/// The all-reduce of deterministic mode: result = the binary tree sum over C chunks, the same bits for any number of
/// ranks and any route (core/tree.hpp says which sum).
///
/// Chunks are shared by partition(C, P, rank). Each rank hands in the sums of the largest tree nodes that its chunks
/// fill (`cover`), each a flat buffer of n elements. Communication only moves: slice q of every node goes to rank q,
/// who adds in tree order; then the slices of the root go to everybody.
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
/// Region   partita::comm::tree_allreduce::mpi or ::ring, in Kokkos Tools.
/// Scratch  planned once: the result, and what arrives and leaves; a call allocates nothing.
/// Traffic  operation "tree_allreduce", closed_forms::tree_allreduce_{mpi,ring}_bytes.
template <class S>
class TreeAllreducePlan {
 public:
  /// how      mpi: MPI_Alltoallv and MPI_Allgatherv; ring: bundles travel hop by hop, then our all-gather.
  /// Throws   ShapeError for chunks < 1, Error when MPI cannot count a message. comm must outlive this. Not collective.
  TreeAllreducePlan(const Communicator& comm, Allreduce how, index_t elements, index_t chunks,
                    RingOptions options = {});
  ~TreeAllreducePlan();
  TreeAllreducePlan(TreeAllreducePlan&&) noexcept;
  TreeAllreducePlan& operator=(TreeAllreducePlan&&) noexcept;

  /// My nodes of the tree, ascending; none when there are fewer chunks than ranks before me.
  const std::vector<Node>& cover() const { return cover_; }
  /// (elements): the sum over all chunks, after run.
  Vector<S> result() const { return result_; }

  /// Shapes   nodes (cover().size() elements), one after the other: the sums over the leaves of each; left as they are.
  /// Runs     fences exec first, blocks until the result is there. Collective.
  /// Throws   ShapeError when nodes has another extent.
  void run(const Exec& exec, ConstVector<S> nodes);

 private:
  index_t elements_;
  std::vector<Node> cover_;
  TrafficEntry* entry_;
  double expected_bytes_;
  Work work_;
  std::string region_;
  Vector<S> result_;
  Staging<S> staged_nodes_, staged_result_;
  detail::SidedPlan<detail::TreePlan, S> plan_;
};

}  // namespace partita::comm
