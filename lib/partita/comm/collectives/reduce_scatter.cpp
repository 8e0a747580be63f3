// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/reduce_scatter.hpp>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/mpi_calls.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {
namespace {

template <class S>
constexpr index_t payload_bytes(index_t n) {
  return n * static_cast<index_t>(sizeof(S));
}

// By a closed form of segments and a rank.
template <class S, class Form>
closed_forms::Sent sent(const Segments& segments, RingOptions options, const Form& form) {
  return closed_forms::sent(sizeof(S), options.chunk(segments.longest(), sizeof(S)), form);
}

template <class S>
std::unique_ptr<Transport<S>> ring(const Communicator& comm, const Segments& segments, RingPart part,
                                   RingOptions options) {
  const index_t chunk = options.chunk(segments.longest(), sizeof(S));
  return make_flow<S>(comm, ring_schedule(segments, comm.rank(), part, chunk));
}

}  // namespace

template <class S>
ReduceScatterPlan<S>::ReduceScatterPlan(const Communicator& comm, Via how, const Segments& segments,
                                        RingOptions options)
    : Plan<S>(comm,
              {.name = "ReduceScatterPlan",
               .operation = "reduce_scatter",
               .algorithm = how == Via::mpi ? "mpi" : "ring",
               .input = segments.elements(),
               .output = segments.elements(),
               .agreed = segments.elements(),
               .in_place = true,
               .sent = how == Via::mpi ? PlanTerms::mpi(payload_bytes<S>(segments.elements()))
                                       : sent<S>(segments, options,
                                                 [&](const auto& count) {
                                                   return closed_forms::ring_reduce_scatter(segments, comm.rank(),
                                                                                            count);
                                                 })},
              how == Via::mpi ? mpi_reduce_scatter<S>(comm, segments)
                              : ring<S>(comm, segments, RingPart::reduce_scatter, options)) {}

template <class S>
AllGatherPlan<S>::AllGatherPlan(const Communicator& comm, Via how, const Segments& segments, RingOptions options)
    : Plan<S>(comm,
              {.name = "AllGatherPlan",
               .operation = "all_gather",
               .algorithm = how == Via::mpi ? "mpi" : "ring",
               .input = segments[comm.rank()].extent,
               .output = segments.elements(),
               .agreed = segments.elements(),
               .sent = how == Via::mpi
                           ? PlanTerms::mpi(payload_bytes<S>(comm.size() > 1 ? segments[comm.rank()].extent : 0))
                           : sent<S>(segments, options,
                                     [&](const auto& count) {
                                       return closed_forms::ring_all_gather(segments, comm.rank(), count);
                                     })},
              how == Via::mpi ? mpi_all_gather<S>(comm, segments)
                              : ring<S>(comm, segments, RingPart::all_gather, options)) {}

template class ReduceScatterPlan<float>;
template class ReduceScatterPlan<double>;
template class ReduceScatterPlan<bfloat16>;
template class ReduceScatterPlan<float16>;
template class AllGatherPlan<float>;
template class AllGatherPlan<double>;
template class AllGatherPlan<bfloat16>;
template class AllGatherPlan<float16>;

}  // namespace partita::comm
