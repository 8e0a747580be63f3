// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/kernels.hpp>
#include <partita/comm/collectives/schedule.hpp>
#include <partita/comm/collectives/transport.hpp>

namespace partita::comm {

/// Executes a schedule: posts receives ahead, sends what may leave, takes in what has arrived, in order. Messages have
/// a tag of their own, so that several flows are in flight on one communicator. What is added is
/// combined by `op`, as its parts arrive.
///
/// Nobody waits in a circle where the schedules of all ranks fit together: of all messages that are not yet taken in
/// the first is always posted on both sides, or held back by a send that is.
///
/// Memory   ahead() slots of longest_sum(), and scratch(); planned once: a call allocates nothing.
template <class S, detail::Side side>
class Flow final : public Transport<S> {
 public:
  /// comm must outlive the flow. Not collective.
  Flow(const Communicator& comm, int tag, std::shared_ptr<const Schedule> schedule, Op op = Op::sum);

  void start(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) override;
  bool advance(bool wait) override;
  void withdraw() noexcept override;
  Work work() const override { return work_of(*schedule_, sizeof(S)); }

 private:
  using Buffer = Kokkos::View<S*, Kokkos::LayoutRight, typename detail::Space<side>::memory_space>;
  enum class Event { none, received, sent };

  void copy_own_part();
  void turn_to(int peer) const;
  void post_receives();
  bool post_sends();  // whether the number of sends under way holds the next one back
  bool complete_sends(index_t end, bool wait);
  Event next_event(bool listens, bool watches_sends, bool wait);
  void add_arrived(const Message& message);
  S* at(const Message& message) const;
  MPI_Request& receive_request(index_t i) { return receives_[static_cast<std::size_t>(i) % receives_.size()]; }
  MPI_Request& send_request(index_t i) { return sends_[static_cast<std::size_t>(i) % sends_.size()]; }

  const Communicator* comm_;
  int tag_;
  std::shared_ptr<const Schedule> schedule_;
  Op op_;
  index_t ahead_, slot_;
  Buffer slots_, scratch_;
  std::vector<MPI_Request> receives_, sends_;  // used round robin

  // The call under way.
  detail::Space<side> space_;
  const S* input_ = nullptr;
  S* output_ = nullptr;
  TrafficEntry* traffic_ = nullptr;
  bool arrived_ = false;  // the next receive, whose sum waits for a send
  index_t receives_posted_ = 0, received_ = 0, sends_posted_ = 0, sends_done_ = 0;
};

}  // namespace partita::comm
