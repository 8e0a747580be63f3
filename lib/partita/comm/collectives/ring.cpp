// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/ring.hpp>

#include <algorithm>
#include <string>

namespace partita::comm::detail {

namespace {

constexpr index_t divide_up(index_t a, index_t b) { return (a + b - 1) / b; }

}  // namespace

template <class S, Side side>
RingPlan<S, side>::RingPlan(const Communicator& comm, index_t elements, RingOptions options)
    : comm_(&comm), elements_(elements) {
  const index_t longest = segment(0).extent;
  const index_t least = std::max<index_t>(1, options.chunk_bytes / static_cast<index_t>(sizeof(S)));
  chunk_ = std::max(least, divide_up(longest, options.most_chunks));
  chunk_ = std::clamp<index_t>(chunk_, 1, std::clamp<index_t>(longest, 1, max_count));
  chunks_ = divide_up(longest, chunk_);
  window_ = chunks_ + 1;
  if (comm.size() == 1) return;
  slots_ = Buffer(Kokkos::view_alloc(Kokkos::WithoutInitializing, "partita::comm::ring::slots"), window_ * chunk_);
  for (int rank = 0; rank < comm.size(); ++rank) segments_.push_back(segment(rank));
  receives_.assign(static_cast<std::size_t>(window_), MPI_REQUEST_NULL);
  sends_.assign(static_cast<std::size_t>(2 * window_), MPI_REQUEST_NULL);
}

template <class S, Side side>
Range RingPlan<S, side>::range(int segment, index_t chunk) const {
  const Slice& whole = segments_[static_cast<std::size_t>(segment)];
  const index_t begin = std::min(chunk * chunk_, whole.extent);
  return {whole.offset + begin, std::min(chunk_, whole.extent - begin)};
}

template <class S, Side side>
void RingPlan<S, side>::allreduce(const Space<side>& exec, S* data, TrafficCall& traffic) {
  walk(exec, data, 0, 2 * comm_->size() - 2, traffic);
}
template <class S, Side side>
void RingPlan<S, side>::reduce_scatter(const Space<side>& exec, S* data, TrafficCall& traffic) {
  walk(exec, data, 0, comm_->size() - 1, traffic);
}
template <class S, Side side>
void RingPlan<S, side>::all_gather(const Space<side>& exec, S* data, TrafficCall& traffic) {
  walk(exec, data, comm_->size() - 1, 2 * comm_->size() - 2, traffic);
}

template <class S, Side side>
Work RingPlan<S, side>::work() const {
  return work(0, 2 * comm_->size() - 2);
}
template <class S, Side side>
Work RingPlan<S, side>::all_gather_work() const {
  return work(comm_->size() - 1, 2 * comm_->size() - 2);
}

template <class S, Side side>
Work RingPlan<S, side>::work(int first_step, int end_step) const {
  Work work;
  if (comm_->size() == 1) return work;
  for (int step = first_step; step < end_step; ++step)
    for (index_t chunk = 0; chunk < chunks_; ++chunk) {
      const index_t leaves = sent({step, chunk}).extent * static_cast<index_t>(sizeof(S));
      const index_t arrives = received({step, chunk}).extent * static_cast<index_t>(sizeof(S));
      work += {leaves > 0 ? 1.0 : 0.0, static_cast<double>(leaves), adds({step, chunk}) ? sum_bytes(arrives) : 0.0};
    }
  return work;
}

// Every rank walks the same list of items, receives and sends in its order, so messages match by order alone. Item i
// is received only after all items before it, and sent once the item that it passes on has been. The rank that is
// furthest behind finds what it waits for sent: nobody waits in a circle.
template <class S, Side side>
void RingPlan<S, side>::walk(const Space<side>& exec, S* data, int first_step, int end_step, TrafficCall& traffic) {
  if (comm_->size() == 1 || elements_ == 0) return;
  data_ = data;
  first_step_ = first_step;
  steps_ = end_step - first_step;
  items_ = chunks_ * steps_;
  receives_posted_ = received_ = sends_posted_ = sends_done_ = 0;
  while (received_ < items_ || sends_posted_ < items_) {
    post_receives();
    post_sends(traffic);
    if (received_ == items_) continue;
    check(MPI_Wait(&receives_[static_cast<std::size_t>(received_ % window_)], MPI_STATUS_IGNORE), "MPI_Wait",
          comm_->name());
    const Item it = item(received_);
    const Range into = received(it);
    if (adds(it) && into.extent > 0) {
      add<side>(exec, static_cast<const S*>(slot(received_)), data + into.offset, into.extent);
      static const std::string label = "partita::comm::ring: the sum must be ready before MPI sends it";  // made once
      exec.fence(label);
    }
    ++received_;
  }
  complete_sends(items_);
}

template <class S, Side side>
void RingPlan<S, side>::post_receives() {
  for (; receives_posted_ < std::min(items_, received_ + window_); ++receives_posted_) {
    const Item it = item(receives_posted_);
    const Range into = received(it);
    MPI_Request& request = receives_[static_cast<std::size_t>(receives_posted_ % window_)];
    S* target = slot(receives_posted_);
    if (!adds(it)) {
      // The final sum replaces the part of it that this rank sent P-1 steps ago: MPI must be done with that message.
      const index_t before = receives_posted_ - (comm_->size() - 1) * chunks_;
      if (first_step_ == 0 && sends_done_ <= before) notice_sends();
      if (first_step_ == 0 && sends_done_ <= before) {
        if (receives_posted_ > received_) return;  // not needed yet
        complete_sends(before + 1);
      }
      target = data_ + into.offset;
    }
    if (into.extent == 0) continue;
    check(MPI_Irecv(target, static_cast<int>(into.extent), mpi_type<S>(), wrap(comm_->rank() - 1), ring_tag,
                    comm_->handle(), &request),
          "MPI_Irecv", comm_->name());
  }
}

template <class S, Side side>
bool RingPlan<S, side>::may_send(index_t i) const {
  return i < (item(i).step == first_step_ ? window_ : chunks_) + received_;
}

template <class S, Side side>
void RingPlan<S, side>::post_sends(TrafficCall& traffic) {
  for (; sends_posted_ < items_ && may_send(sends_posted_); ++sends_posted_) {
    if (sends_posted_ - sends_done_ == static_cast<index_t>(sends_.size())) complete_sends(sends_done_ + 1);
    const Range from = sent(item(sends_posted_));
    if (from.extent == 0) continue;
    check(MPI_Isend(data_ + from.offset, static_cast<int>(from.extent), mpi_type<S>(), wrap(comm_->rank() + 1),
                    ring_tag, comm_->handle(), &sends_[send_slot(sends_posted_)]),
          "MPI_Isend", comm_->name());
    traffic.sent(1, from.extent * static_cast<index_t>(sizeof(S)));
  }
}

template <class S, Side side>
void RingPlan<S, side>::complete_sends(index_t end) {
  for (; sends_done_ < end; ++sends_done_)
    check(MPI_Wait(&sends_[send_slot(sends_done_)], MPI_STATUS_IGNORE), "MPI_Wait", comm_->name());
}

template <class S, Side side>
void RingPlan<S, side>::notice_sends() {
  for (; sends_done_ < sends_posted_; ++sends_done_) {
    int left = 0;
    check(MPI_Test(&sends_[send_slot(sends_done_)], &left, MPI_STATUS_IGNORE), "MPI_Test", comm_->name());
    if (left == 0) return;
  }
}

template class RingPlan<float, Side::exec>;
template class RingPlan<double, Side::exec>;
template class RingPlan<float, Side::host>;
template class RingPlan<double, Side::host>;

}  // namespace partita::comm::detail
