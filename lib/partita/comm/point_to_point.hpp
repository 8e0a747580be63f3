// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/collectives/staging.hpp>
#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// A place for messages to or from one other rank, used again and again, one message at a time. Posting does not block;
/// wait() and test() complete. Which messages meet is said by peer and tag; those of one pair and tag meet in the order
/// in which they were posted.
///
/// Where MPI does not accept memory of Exec, the place has a pinned copy on the host.
template <class S>
class PointToPoint {
 public:
  /// Of up to `capacity` elements. The communicator must outlive this.
  PointToPoint(const Communicator& comm, int peer, index_t capacity);
  PointToPoint(PointToPoint&& other) noexcept;
  PointToPoint& operator=(PointToPoint&&) = delete;
  /// A receive that nothing met is taken back; a send is left to MPI.
  ~PointToPoint();

  int peer() const { return peer_; }
  /// Whether a message is under way.
  bool pending() const { return request_ != MPI_REQUEST_NULL; }

  /// Fences exec, whose kernels wrote the values; they must stay until this is complete. Counted in `traffic`, if any.
  /// Throws   Error while another message is under way.
  void send(const Exec& exec, ConstVector<S> values, int tag, TrafficEntry* traffic);
  /// What arrives is for what is enqueued on exec after wait(exec). Nothing may be enqueued that still reads `into`: on
  /// a device exec is fenced.
  void receive(const Exec& exec, Vector<S> into, int tag);

  /// A receive that nothing will meet is taken back.
  void take_back();

  /// Whether what was received lies where it was wanted: not yet, from receive() to wait().
  bool landed() const { return landed_; }

  /// True once MPI is done with the message; what was received still wants wait(). Never blocks.
  bool test();
  void wait(const Exec& exec);

 private:
  void require_idle(const char* what) const;
  void land(const Exec& exec);

  const Communicator& comm_;
  int peer_;
  Staging<S> staging_;
  MPI_Request request_ = MPI_REQUEST_NULL;
  index_t bytes_ = 0;   // of the message
  Vector<S> into_;      // of a receive
  bool landed_ = true;  // what was received lies in `into`
};

}  // namespace partita::comm
