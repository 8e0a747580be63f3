// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/kernels.hpp>
#include <partita/comm/communicator.hpp>
#include <partita/comm/work.hpp>
#include <partita/core/partition.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// How a ring cuts a segment into messages. Every rank gives the same.
struct RingOptions {
  /// A message is at least this long, where a segment has so much: a quarter of the 1 MiB (or more) that a core of
  /// today's servers calls its own, so that it is still there when it is added, and long against a latency.
  index_t chunk_bytes = 256 * 1024;
  /// A segment is cut into at most this many: what cannot overlap is an eighth then, and a rank that the system holds
  /// up for a moment makes its neighbours wait a few times, not hundreds of times.
  index_t most_chunks = 8;
};

namespace detail {

/// Reduce-scatter and all-gather on a ring of P ranks, segments cut by partition(n, P, rank), pipelined in chunks.
///
/// Step s of rank r sends segment r - s - 1 to the right and receives segment r - s - 2 from the left (mod P). In steps
/// 0 .. P-2 what arrives is added: then rank r holds the sum of segment r. In steps P-1 .. 2P-3 it is kept: then every
/// rank holds all. A segment travels in chunks: while one is added, the next arrive, and one that was
/// added is passed on at once.
///
///     P = 3, the segments A, B, C of ranks 0, 1, 2; a1 is rank 1's part of A, a12 the sum of a1 and a2
///
///              rank 0              rank 1              rank 2
///     step 0   c0 -> 1, adds b2    a1 -> 2, adds c0    b2 -> 0, adds a1      reduce-scatter
///     step 1   b02 -> 1, adds a12  c01 -> 2, adds b02  a12 -> 0, adds c01
///              has A               has B               has C
///     step 2   A -> 1, keeps C     B -> 2, keeps A     C -> 0, keeps B       all-gather
///     step 3   C -> 1, keeps B     A -> 2, keeps C     B -> 0, keeps A
///
/// Scratch is planned here; a call allocates nothing.
template <class S, Side side>
class RingPlan {
 public:
  /// comm must outlive the ring. Not collective.
  RingPlan(const Communicator& comm, index_t elements, RingOptions options);

  /// data (elements): the sum over ranks, on every rank. Collective; data must be ready, and is when this returns.
  void allreduce(const Space<side>& exec, S* data, TrafficCall& traffic);
  /// data: my segment holds the sum over ranks, the others are left over.
  void reduce_scatter(const Space<side>& exec, S* data, TrafficCall& traffic);
  /// data: my segment goes to everybody.
  void all_gather(const Space<side>& exec, S* data, TrafficCall& traffic);

  Slice segment(int owner) const { return partition(elements_, comm_->size(), owner); }

  /// Of an all-reduce: 2 (P-1) segments sent in chunks, the P-1 that arrive first added.
  Work work() const;
  /// Of its all-gather.
  Work all_gather_work() const;

 private:
  using Buffer = Kokkos::View<S*, Kokkos::LayoutRight, typename Space<side>::memory_space>;
  struct Item {  // what the i-th message of a walk is about
    int step;
    index_t chunk;
  };
  Item item(index_t i) const { return {first_step_ + static_cast<int>(i / chunks_), i % chunks_}; }
  Range range(int segment, index_t chunk) const;
  int wrap(int rank) const { return ((rank % comm_->size()) + comm_->size()) % comm_->size(); }
  Range sent(const Item& it) const { return range(wrap(comm_->rank() - it.step - 1), it.chunk); }
  Range received(const Item& it) const { return range(wrap(comm_->rank() - it.step - 2), it.chunk); }
  bool adds(const Item& it) const { return it.step < comm_->size() - 1; }

  Work work(int first_step, int end_step) const;
  void walk(const Space<side>& exec, S* data, int first_step, int end_step, TrafficCall& traffic);
  bool may_send(index_t i) const;
  void post_receives();
  void post_sends(TrafficCall& traffic);
  void complete_sends(index_t end);  // waits until the first `end` sends have left
  void notice_sends();               // counts those that have left by now
  S* slot(index_t i) const { return slots_.data() + i % window_ * chunk_; }
  std::size_t send_slot(index_t i) const { return static_cast<std::size_t>(i) % sends_.size(); }

  const Communicator* comm_;
  index_t elements_;
  index_t chunk_;   // elements of a message
  index_t chunks_;  // of the longest segment
  index_t window_;  // receives posted ahead: a step, and one
  Buffer slots_;    // (window, chunk): what arrives and is to be added
  std::vector<Slice> segments_;

  // The walk under way.
  S* data_ = nullptr;
  int first_step_ = 0, steps_ = 0;
  index_t items_ = 0, receives_posted_ = 0, received_ = 0, sends_posted_ = 0, sends_done_ = 0;
  std::vector<MPI_Request> receives_, sends_;  // used round robin
};

}  // namespace detail
}  // namespace partita::comm
