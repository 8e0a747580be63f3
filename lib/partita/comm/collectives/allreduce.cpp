// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/allreduce.hpp>

namespace partita::comm {

std::string_view to_string(Allreduce how) { return how == Allreduce::mpi ? "mpi" : "ring"; }

template <class S>
AllreducePlan<S>::AllreducePlan(const Communicator& comm, Allreduce how, index_t elements, RingOptions options)
    : comm_(&comm),
      how_(how),
      elements_(elements),
      entry_(comm.traffic() == nullptr ? nullptr : &comm.traffic()->entry("allreduce", to_string(how), comm.name())),
      expected_bytes_(static_cast<double>(
          how == Allreduce::ring ? closed_forms::ring_allreduce_bytes(elements, comm.size(), comm.rank(), sizeof(S))
                                 : elements * static_cast<index_t>(sizeof(S)))),
      staging_(comm.gpu_aware(), elements) {
  if (how_ == Allreduce::mpi) return;
  if (staging_.direct())
    ring_ = std::make_unique<detail::Ring<S, detail::Side::exec>>(comm, elements, options);
  else
    staged_ring_ = std::make_unique<detail::Ring<S, detail::Side::host>>(comm, elements, options);
}

template <class S>
void AllreducePlan<S>::run(const Exec& exec, Vector<S> inout) {
  if (static_cast<index_t>(inout.extent(0)) != elements_)
    throw ShapeError(
        fmt::format("AllreducePlan::run: inout has {} elements, the plan is for {}", inout.extent(0), elements_));
  TrafficCall traffic(entry_, expected_bytes_);
  S* data = staging_.begin(exec, inout);
  if (ring_) {
    ring_->allreduce(exec, data, traffic);
  } else if (staged_ring_) {
    staged_ring_->allreduce(HostExec(), data, traffic);
  } else {
    detail::for_each_piece(elements_, [&](index_t offset, int count) {
      detail::check(MPI_Allreduce(MPI_IN_PLACE, data + offset, count, detail::mpi_type<S>(), MPI_SUM, comm_->handle()),
                    "MPI_Allreduce", comm_->name());
    });
    traffic.sent(1, elements_ * static_cast<index_t>(sizeof(S)));
  }
  staging_.end(exec, inout);
}

template class AllreducePlan<float>;
template class AllreducePlan<double>;

}  // namespace partita::comm
