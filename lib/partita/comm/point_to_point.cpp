// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/point_to_point.hpp>

#include <utility>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {

template <class S>
PointToPoint<S>::PointToPoint(const Communicator& comm, int peer, index_t capacity)
    : comm_(comm), peer_(peer), staging_(comm.gpu_aware(), capacity) {}

template <class S>
PointToPoint<S>::PointToPoint(PointToPoint&& other) noexcept
    : comm_(other.comm_),
      peer_(other.peer_),
      staging_(other.staging_),
      request_(std::exchange(other.request_, MPI_REQUEST_NULL)),
      bytes_(other.bytes_),
      into_(other.into_),
      landed_(other.landed_) {}

template <class S>
PointToPoint<S>::~PointToPoint() {
  if (!pending()) return;
  if (landed_) {  // a send
    MPI_Request_free(&request_);
    return;
  }
  take_back();
}

template <class S>
void PointToPoint<S>::take_back() {
  if (!pending()) return;
  MPI_Cancel(&request_);
  MPI_Wait(&request_, MPI_STATUS_IGNORE);  // what is cancelled waits for nobody
  landed_ = true;
}

template <class S>
void PointToPoint<S>::require_idle(const char* what) const {
  if (pending()) refuse<Error>(what, "a message is under way", "one at a time");
}

template <class S>
void PointToPoint<S>::send(const Exec& exec, ConstVector<S> values, int tag, TrafficEntry* traffic) {
  require_idle("PointToPoint::send");
  const TrafficClock clock(traffic);
  const auto n = static_cast<index_t>(values.extent(0));
  bytes_ = n * static_cast<index_t>(sizeof(S));
  const Vector<S> payload(const_cast<S*>(values.data()), values.extent(0));  // only read
  detail::check(MPI_Isend(staging_.begin(exec, payload), detail::mpi_count(n, "MPI_Isend"), detail::mpi_type<S>(),
                          peer_, tag, comm_.handle(), &request_),
                "MPI_Isend", comm_.name());
  if (traffic == nullptr) return;
  ++traffic->calls;
  ++traffic->messages;
  traffic->sent_bytes += bytes_;
}

template <class S>
void PointToPoint<S>::receive(const Exec& exec, Vector<S> into, int tag) {
  require_idle("PointToPoint::receive");
  if constexpr (!std::is_same_v<Exec, HostExec>) {
    static const std::string label = "partita::comm::PointToPoint: MPI overwrites what kernels read";  // made once
    exec.fence(label);
  }
  into_ = into;
  bytes_ = static_cast<index_t>(into.size() * sizeof(S));
  landed_ = false;
  detail::check(MPI_Irecv(staging_.where(into), detail::mpi_count(static_cast<index_t>(into.extent(0)), "MPI_Irecv"),
                          detail::mpi_type<S>(), peer_, tag, comm_.handle(), &request_),
                "MPI_Irecv", comm_.name());
}

template <class S>
bool PointToPoint<S>::test() {
  if (!pending()) return true;
  int done = 0;
  detail::check(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), "MPI_Test", comm_.name());
  return done != 0;
}

template <class S>
void PointToPoint<S>::wait(const Exec& exec) {
  if (pending()) {
    const Waiting waiting(comm_.waits(), comm_.wait(landed_ ? "send" : "receive", bytes_, peer_));
    detail::check(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait", comm_.name());
  }
  land(exec);
}

template <class S>
void PointToPoint<S>::land(const Exec& exec) {
  if (!std::exchange(landed_, true)) staging_.end(exec, into_);
}

template class PointToPoint<float>;
template class PointToPoint<double>;
template class PointToPoint<bfloat16>;
template class PointToPoint<float16>;

}  // namespace partita::comm
