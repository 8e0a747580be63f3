// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/allreduce.hpp>

#include <fmt/format.h>
#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <partita/comm/closed_forms.hpp>
#include <partita/core/error.hpp>

namespace partita::comm {

std::string_view to_string(Allreduce how) { return how == Allreduce::mpi ? "mpi" : "ring"; }

template <class S>
AllreducePlan<S>::AllreducePlan(const Communicator& comm, Allreduce how, index_t elements, RingOptions options)
    : comm_(&comm),
      how_(how),
      elements_(elements),
      entry_(comm.traffic_entry("allreduce", to_string(how))),
      expected_bytes_(static_cast<double>(
          how == Allreduce::ring ? closed_forms::ring_allreduce_bytes(elements, comm.size(), comm.rank(), sizeof(S))
                                 : elements * static_cast<index_t>(sizeof(S)))),
      work_(mpi_allreduce_work(elements * static_cast<index_t>(sizeof(S)), comm.size())),
      region_(fmt::format("partita::comm::allreduce::{}", to_string(how))),
      staging_(comm.gpu_aware(), elements) {
  if (how_ == Allreduce::mpi) return;
  ring_ = detail::SidedPlan<detail::RingPlan, S>(staging_.direct(), comm, elements, options);
  work_ = ring_.with(Exec(), [](const auto& ring, const auto&) { return ring.work(); });
}

template <class S>
void AllreducePlan<S>::run(const Exec& exec, Vector<S> inout) {
  if (static_cast<index_t>(inout.extent(0)) != elements_)
    refuse<ShapeError>("AllreducePlan::run", fmt::format("inout has {} elements", inout.extent(0)),
                       fmt::format("{}, as planned", elements_));
  const Kokkos::Profiling::ScopedRegion region(region_);
  TrafficCall traffic(entry_, expected_bytes_, work_);
  S* data = staging_.begin(exec, inout);
  if (ring_) {
    ring_.with(exec, [&](auto& ring, const auto& space) { ring.allreduce(space, data, traffic); });
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
