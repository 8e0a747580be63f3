// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <partita/comm/collectives/allreduce.hpp>
#include <partita/core/tree.hpp>
#include <vector>

namespace partita::comm {

namespace detail {
template <class S, Side side>
class TreeExchange;
}

/// The all-reduce of deterministic mode: result = the binary tree sum over C chunks, the same bits for any number of
/// ranks and any route (core/tree.hpp says which sum).
///
/// Chunks are shared by partition(C, P, rank). Each rank hands in the sums of the largest tree nodes that its chunks
/// fill (`cover`), each a flat buffer of n elements. Communication only moves: slice q of every node goes to rank q,
/// who adds in tree order; then the slices of the root go to everybody.
///
/// Scratch  planned once: the result, and what arrives and leaves; a call allocates nothing.
/// Traffic  operation "tree_allreduce", closed_forms::tree_allreduce_{mpi,ring}_bytes.
template <class S>
class TreeAllreduce {
 public:
  /// comm must outlive this. Not collective.
  ///
  /// how      mpi: MPI_Alltoallv and MPI_Allgatherv; ring: bundles travel hop by hop, then our all-gather.
  /// Throws   ShapeError for chunks < 1, Error when MPI cannot count a message.
  TreeAllreduce(const Communicator& comm, Allreduce how, index_t elements, index_t chunks, RingOptions options = {});
  ~TreeAllreduce();
  TreeAllreduce(TreeAllreduce&&) noexcept;
  TreeAllreduce& operator=(TreeAllreduce&&) noexcept;

  /// My nodes of the tree, ascending; none when there are fewer chunks than ranks before me.
  const std::vector<Node>& cover() const { return cover_; }
  /// (elements): the sum over all chunks, after run.
  Vector<S> result() const { return result_; }

  /// Shapes   nodes (cover().size() elements), one after the other: the sums over the leaves of each; left as they
  ///          were.
  /// Runs     fences exec first, blocks until the result is there. Collective.
  /// Throws   ShapeError when nodes has another extent.
  void run(const Exec& exec, ConstVector<S> nodes);

 private:
  index_t elements_;
  std::vector<Node> cover_;
  TrafficEntry* entry_;
  double expected_bytes_;
  Vector<S> result_;
  Staging<S> staged_nodes_, staged_result_;
  std::unique_ptr<detail::TreeExchange<S, detail::Side::exec>> direct_;
  std::unique_ptr<detail::TreeExchange<S, detail::Side::host>> staged_;
};

}  // namespace partita::comm
