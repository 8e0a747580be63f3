// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/tree_allreduce.hpp>

#include <string>

#include <fmt/format.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_transport.hpp>
#include <partita/core/error.hpp>

namespace partita::comm {

namespace {

const char* word(Allreduce how) { return how == Allreduce::mpi ? "mpi" : "ring"; }

index_t nodes_extent(const Communicator& comm, const TreeNodes& nodes) {
  const auto count = std::ssize(my_nodes(comm, nodes.chunks));
  const index_t stride = nodes.stride > 0 ? nodes.stride : nodes.elements;
  return count == 0 ? 0 : (count - 1) * stride + nodes.elements;
}

template <class S>
PlanTerms allreduce_terms(const Communicator& comm, Allreduce how, const TreeNodes& nodes) {
  const auto form =
      how == Allreduce::mpi ? closed_forms::tree_allreduce_mpi_bytes : closed_forms::tree_allreduce_ring_bytes;
  return {.name = "TreeAllreducePlan",
          .operation = "tree_allreduce",
          .algorithm = word(how),
          .input = nodes_extent(comm, nodes),
          .output = nodes.elements,
          .sent_bytes = form(nodes.elements, nodes.chunks, comm.size(), comm.rank(), sizeof(S))};
}

template <class S>
PlanTerms reduce_scatter_terms(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                               const Segments& segments) {
  if (segments.elements() != nodes.elements)
    refuse<ShapeError>("TreeReduceScatterPlan",
                       fmt::format("segments of {} elements, nodes of {}", segments.elements(), nodes.elements),
                       "the same");
  const auto form = how == Allreduce::mpi ? closed_forms::tree_reduce_scatter_mpi_bytes
                                          : closed_forms::tree_reduce_scatter_ring_bytes;
  return {.name = "TreeReduceScatterPlan",
          .operation = "tree_reduce_scatter",
          .algorithm = word(how),
          .input = nodes_extent(comm, nodes),
          .output = segments[comm.rank()].extent,
          .sent_bytes = form(segments, nodes.chunks, comm.rank(), sizeof(S))};
}

template <class S>
std::unique_ptr<Transport<S>> transport(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                        const Segments& segments, bool everywhere, RingOptions options) {
  return make_transport<TreeTransport, S>(comm.gpu_aware(), comm, how, nodes, segments, everywhere, options);
}

}  // namespace

std::vector<Node> my_nodes(const Communicator& comm, index_t chunks) {
  if (chunks < 1) refuse<ShapeError>("my_nodes", fmt::format("{} chunks", chunks), "at least 1");
  const Slice mine = partition(chunks, comm.size(), comm.rank());
  return tree_cover(chunks, mine.offset, mine.end());
}

template <class S>
TreeAllreducePlan<S>::TreeAllreducePlan(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                        RingOptions options)
    : Plan<S>(comm, allreduce_terms<S>(comm, how, nodes),
              transport<S>(comm, how, nodes, Segments(nodes.elements, comm.size()), true, options)) {}

template <class S>
TreeReduceScatterPlan<S>::TreeReduceScatterPlan(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                                const Segments& segments)
    : Plan<S>(comm, reduce_scatter_terms<S>(comm, how, nodes, segments),
              transport<S>(comm, how, nodes, segments, false, {})) {}

template class TreeAllreducePlan<float>;
template class TreeAllreducePlan<double>;
template class TreeReduceScatterPlan<float>;
template class TreeReduceScatterPlan<double>;

}  // namespace partita::comm
