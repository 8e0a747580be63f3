// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/flow.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

#include <partita/core/float16.hpp>

namespace partita::comm {

using detail::check;
using detail::mpi_type;
using detail::Side;

template <class S, Side side>
Flow<S, side>::Flow(const Communicator& comm, int tag, std::shared_ptr<const Schedule> schedule, Op op)
    : comm_(&comm), tag_(tag), schedule_(std::move(schedule)), op_(op), ahead_(0), slot_(schedule_->longest_sum()) {
  const auto make = [](const char* label, index_t n) {
    return Buffer(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), n);
  };
  ahead_ = std::clamp<index_t>(schedule_->receives(), 1, schedule_->ahead());
  if (slot_ > 0) slots_ = make("partita::comm::flow::slots", ahead_ * slot_);
  if (schedule_->scratch() > 0) scratch_ = make("partita::comm::flow::scratch", schedule_->scratch());
  receives_.assign(static_cast<std::size_t>(ahead_), MPI_REQUEST_NULL);
  sends_.assign(static_cast<std::size_t>(std::clamp<index_t>(schedule_->sends(), 1, 2 * schedule_->ahead())),
                MPI_REQUEST_NULL);
}

template <class S, Side side>
void Flow<S, side>::start(const Exec& exec, const S* input, S* output, TrafficEntry* traffic) {
  if constexpr (side == Side::exec) space_ = exec;
  input_ = input;
  output_ = output;
  traffic_ = traffic;
  arrived_ = false;
  receives_posted_ = received_ = sends_posted_ = sends_done_ = 0;
  copy_own_part();
  post_receives();
  post_sends();
}

template <class S, Side side>
void Flow<S, side>::copy_own_part() {
  const OwnPart own = schedule_->own();
  const S* from = input_ + own.from.offset;
  S* to = output_ + own.to;
  if (own.from.extent == 0 || from == to) return;
  detail::copy<side>(space_, from, to, own.from.extent);
  static const std::string label = "partita::comm::flow: MPI may send what was copied";  // made once
  space_.fence(label);
}

template <class S, Side side>
bool Flow<S, side>::advance(bool wait) {
  const index_t receives = schedule_->receives(), sends = schedule_->sends();
  for (;;) {
    if (arrived_) {
      const Message message = schedule_->receive(received_);
      while (!complete_sends(message.after, wait)) {
        post_sends();
        if (!wait) return false;
      }
      add_arrived(message);
      arrived_ = false;
      ++received_;
    }
    post_receives();
    const bool held_back = post_sends();
    if (received_ == receives && sends_posted_ == sends) return complete_sends(sends, wait);
    const bool listens = receives_posted_ > received_, sends_under_way = sends_done_ < sends_posted_;
    if (!listens && !sends_under_way) continue;  // what has just been posted lets the next receive be
    switch (next_event(listens, sends_under_way && (held_back || !listens), wait)) {
      case Event::none:
        return false;
      case Event::sent:
        ++sends_done_;
        break;
      case Event::received:
        if (const Message message = schedule_->receive(received_); message.adds && message.range.extent > 0)
          arrived_ = true;
        else
          ++received_;
        break;
    }
  }
}

// The next receive, the oldest send, or whichever is first of both.
template <class S, Side side>
typename Flow<S, side>::Event Flow<S, side>::next_event(bool listens, bool watches_sends, bool wait) {
  const auto is_done = [&](MPI_Request& request) {
    int done = 1;
    if (request == MPI_REQUEST_NULL) return true;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", comm_->name());
    return done != 0;
  };
  if (listens && (!wait || watches_sends) && is_done(receive_request(received_))) return Event::received;
  if (watches_sends && (!wait || listens) && is_done(send_request(sends_done_))) return Event::sent;
  if (!wait) return Event::none;
  turn_to(listens ? schedule_->receive(received_).peer : schedule_->send(sends_done_).peer);
  if (listens && watches_sends) {
    MPI_Request both[] = {receive_request(received_), send_request(sends_done_)};
    int which = 0;
    check(MPI_Waitany(2, both, &which, MPI_STATUS_IGNORE), "MPI_Waitany", comm_->name());
    receive_request(received_) = both[0];
    send_request(sends_done_) = both[1];
    return which == 0 ? Event::received : Event::sent;
  }
  check(MPI_Wait(listens ? &receive_request(received_) : &send_request(sends_done_), MPI_STATUS_IGNORE), "MPI_Wait",
        comm_->name());
  return listens ? Event::received : Event::sent;
}

// Says whom this rank is about to wait for.
template <class S, Side side>
void Flow<S, side>::turn_to(int peer) const {
  if (WaitBoard* const board = comm_->waits()) board->turn_to(comm_->world_rank(peer));
}

template <class S, Side side>
void Flow<S, side>::post_receives() {
  for (const index_t end = schedule_->receives(); receives_posted_ < std::min(end, received_ + ahead_);
       ++receives_posted_) {
    const Message message = schedule_->receive(receives_posted_);
    if (!message.adds && !complete_sends(message.after, false)) return;
    if (message.range.extent == 0) continue;
    S* const into = message.adds ? slots_.data() + receives_posted_ % ahead_ * slot_ : at(message);
    check(MPI_Irecv(into, static_cast<int>(message.range.extent), mpi_type<S>(), message.peer, tag_, comm_->handle(),
                    &receive_request(receives_posted_)),
          "MPI_Irecv", comm_->name());
  }
}

template <class S, Side side>
bool Flow<S, side>::post_sends() {
  for (const index_t end = schedule_->sends(); sends_posted_ < end; ++sends_posted_) {
    const Message message = schedule_->send(sends_posted_);
    if (message.after > received_) return false;
    if (sends_posted_ - sends_done_ == std::ssize(sends_) && !complete_sends(sends_done_ + 1, false)) return true;
    if (message.range.extent == 0) continue;
    check(MPI_Isend(at(message), static_cast<int>(message.range.extent), mpi_type<S>(), message.peer, tag_,
                    comm_->handle(), &send_request(sends_posted_)),
          "MPI_Isend", comm_->name());
    if (traffic_ == nullptr) continue;
    ++traffic_->messages;
    traffic_->sent_bytes += message.range.extent * static_cast<index_t>(sizeof(S));
  }
  return false;
}

// Whether the first `end` sends have left. False when one of them is not posted yet.
template <class S, Side side>
bool Flow<S, side>::complete_sends(index_t end, bool wait) {
  for (; sends_done_ < end; ++sends_done_) {
    if (sends_done_ == sends_posted_) return false;
    MPI_Request& request = send_request(sends_done_);
    if (request == MPI_REQUEST_NULL) continue;
    int done = 1;
    if (wait) {
      turn_to(schedule_->send(sends_done_).peer);
      check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait", comm_->name());
    } else {
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", comm_->name());
    }
    if (done == 0) return false;
  }
  return true;
}

template <class S, Side side>
void Flow<S, side>::withdraw() noexcept {
  for (MPI_Request& request : receives_) {
    if (request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);  // what is cancelled waits for nobody
  }
  for (MPI_Request& request : sends_)
    if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
}

template <class S, Side side>
void Flow<S, side>::add_arrived(const Message& message) {
  const S* const slot = slots_.data() + received_ % ahead_ * slot_;
  detail::combine<side>(space_, op_, slot, at(message), message.range.extent);
  static const std::string label = "partita::comm::flow: the sum must be ready before MPI sends it";  // made once
  space_.fence(label);
}

template <class S, Side side>
S* Flow<S, side>::at(const Message& message) const {
  switch (message.place) {
    case Place::input:
      return const_cast<S*>(input_) + message.range.offset;  // only sent
    case Place::output:
      return output_ + message.range.offset;
    case Place::scratch:
      break;
  }
  return scratch_.data() + message.range.offset;
}

#define PARTITA_COMM_FLOW(S)          \
  template class Flow<S, Side::exec>; \
  template class Flow<S, Side::host>;
PARTITA_COMM_FLOW(float)
PARTITA_COMM_FLOW(double)
PARTITA_COMM_FLOW(bfloat16)
PARTITA_COMM_FLOW(float16)
PARTITA_COMM_FLOW(std::int32_t)
#undef PARTITA_COMM_FLOW

}  // namespace partita::comm
