// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <partita/comm/collectives/tree_allreduce.hpp>

namespace partita::comm {

/// Segments of tree nodes to their owners around the ring: in hop h a rank passes on what left rank - h + 1, first the
/// block for the right neighbour, which has then arrived, then the rest, which waits there for the next hop.
///
/// Input    my nodes' segments: by distance to their owner, then by node.
/// Output   (all nodes, my segment).
/// first    of rank r in the list of all nodes; P + 1
std::unique_ptr<Schedule> hop_schedule(const Segments& segments, std::vector<index_t> first, int rank);

/// Moves and adds tree nodes, on the side that MPI can reach: packs, sends segments to their owners, adds what arrived
/// in tree order, and, where everybody wants the sum, gathers it.
template <class S, detail::Side side>
class TreeTransport final : public Transport<S> {
 public:
  TreeTransport(const Communicator& comm, Allreduce how, const TreeNodes& nodes, const Segments& segments,
                bool everywhere, RingOptions options);

  void start(const Exec& exec, const S* nodes, S* sum, TrafficEntry* traffic) override;
  bool advance(bool wait) override;
  void withdraw() noexcept override;
  /// Packing, what travels (MPI's all-to-all as P-1 messages), and the additions of my segment.
  Work work() const override { return work_; }

 private:
  using Buffer = Kokkos::View<S*, Kokkos::LayoutRight, typename detail::Space<side>::memory_space>;
  template <class T>
  using Table = Kokkos::View<T*, Kokkos::LayoutRight, typename detail::Space<side>::memory_space>;
  enum class Stage { idle, moving, gathering };

  void plan_merges(const Leaves& leaves);
  void plan_copies(const Segments& segments, index_t stride);
  std::unique_ptr<Transport<S>> mpi_moves(const Communicator& comm, const Segments& segments) const;
  index_t node_count(int rank) const { return first_node_[rank + 1] - first_node_[rank]; }
  void add_up();

  int rank_, P_;
  Range mine_;                        // of the sum
  std::vector<index_t> first_node_;   // of rank r in the list of all nodes; P + 1
  Buffer leaving_;                    // my nodes' segments: by distance to their owner, then by node
  Buffer arrived_;                    // (all nodes, my segment)
  Table<detail::Copy> leave_, keep_;  // nodes -> leaving_, nodes -> arrived_
  index_t longest_ = 0;               // segment
  Table<index_t> merges_;             // (additions, 2)
  /// MPI's second collective begins when the first has arrived: in no order with other plans that all ranks agree on.
  std::optional<Communicator> alone_;
  std::unique_ptr<Transport<S>> moves_, gathers_;
  Work work_;

  // The call under way.
  detail::Space<side> space_;
  Exec exec_;
  S* sum_ = nullptr;
  TrafficEntry* traffic_ = nullptr;
  Stage stage_ = Stage::idle;
};

}  // namespace partita::comm
