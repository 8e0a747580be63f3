// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/core/tree.hpp>

namespace partita::comm::detail {

/// How TreeAllreducePlan moves and adds, on the side that MPI can reach.
template <class S, Side side>
class TreePlan {
 public:
  TreePlan(const Communicator& comm, Allreduce how, index_t elements, index_t chunks, RingOptions options);

  /// nodes (my nodes, elements) -> result (elements); both ready for MPI.
  void run(const Space<side>& exec, const S* nodes, S* result, TrafficCall& traffic);

  /// Packing, what travels (MPI's all-to-all and all-gather as P-1 messages each), and the additions of my slice.
  Work work() const;

 private:
  using Buffer = Kokkos::View<S*, Kokkos::LayoutRight, typename Space<side>::memory_space>;
  template <class T>
  using Table = Kokkos::View<T*, Kokkos::LayoutRight, typename Space<side>::memory_space>;

  int at(int distance) const { return (comm_->rank() + distance + comm_->size()) % comm_->size(); }
  index_t slice(int rank) const { return partition(elements_, comm_->size(), rank).extent; }
  index_t node_count(int rank) const { return first_node_[rank + 1] - first_node_[rank]; }
  /// Elements that leave origin for the ranks at least `distance` to its right.
  index_t bundle(int origin, int distance) const;

  void plan_nodes(index_t chunks);
  void plan_copies();
  void plan_mpi();
  void move_by_mpi(TrafficCall& traffic);
  void move_by_ring(TrafficCall& traffic);
  void send(const S* from, index_t count, int to, TrafficCall& traffic);
  void receive(S* into, index_t count, int from);

  const Communicator* comm_;
  Allreduce how_;
  index_t elements_;
  std::vector<index_t> first_node_;  // of rank r in the list of all nodes; P + 1
  Buffer leaving_;                   // my nodes' slices: by distance to their owner, then by node
  Buffer arrived_;                   // (all nodes, my slice)
  Buffer transit_[2];                // ring: bundles of others on their way
  Table<Copy> leave_, keep_;         // nodes -> leaving_, nodes -> arrived_
  index_t longest_ = 0;              // slice
  Table<index_t> merges_;            // (additions, 2)
  std::vector<int> send_counts_, send_offsets_, receive_counts_, receive_offsets_, slice_counts_, slice_offsets_;
  std::vector<MPI_Request> requests_;
  RingPlan<S, side> ring_;
};

}  // namespace partita::comm::detail
