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
  const auto count = std::ssize(my_nodes(comm, nodes));
  const index_t stride = nodes.stride > 0 ? nodes.stride : nodes.elements;
  return count == 0 ? 0 : (count - 1) * stride + nodes.elements;
}

// Nodes to the owners of their segments; one rank alone sends nothing and makes no call.
template <class S>
closed_forms::Sent moved(const Communicator& comm, Allreduce how, const Leaves& leaves, const Segments& segments) {
  constexpr auto size = static_cast<index_t>(sizeof(S));
  if (how == Allreduce::mpi)
    return {closed_forms::tree_reduce_scatter_mpi_bytes(segments, leaves, comm.rank(), size), comm.size() > 1 ? 1 : 0};
  return closed_forms::sent(size, closed_forms::Messages{}.longest, [&](const auto& count) {
    return closed_forms::tree_reduce_scatter_ring(segments, leaves, comm.rank(), count);
  });
}

template <class S>
PlanTerms allreduce_terms(const Communicator& comm, Allreduce how, const TreeNodes& nodes, RingOptions options) {
  constexpr auto size = static_cast<index_t>(sizeof(S));
  const Segments segments(nodes.elements, comm.size());
  closed_forms::Sent sent = moved<S>(comm, how, nodes.leaves(), segments);
  if (how == Allreduce::mpi) {  // the gather, too
    sent = {closed_forms::tree_allreduce_mpi_bytes(nodes.elements, nodes.leaves(), comm.size(), comm.rank(), size),
            2 * sent.messages};
  } else {
    const closed_forms::Sent gathered = closed_forms::sent(
        size, options.chunk(segments.longest(), size),
        [&](const auto& count) { return closed_forms::ring_all_gather(segments, comm.rank(), count); });
    sent = {sent.bytes + gathered.bytes, sent.messages + gathered.messages};
  }
  return {.name = "TreeAllreducePlan",
          .operation = "tree_allreduce",
          .algorithm = word(how),
          .input = nodes_extent(comm, nodes),
          .output = nodes.elements,
          .agreed = nodes.elements,
          .sent = sent};
}

template <class S>
PlanTerms reduce_scatter_terms(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                               const Segments& segments) {
  if (segments.elements() != nodes.elements)
    refuse<ShapeError>("TreeReduceScatterPlan",
                       fmt::format("segments of {} elements, nodes of {}", segments.elements(), nodes.elements),
                       "the same");
  return {.name = "TreeReduceScatterPlan",
          .operation = "tree_reduce_scatter",
          .algorithm = word(how),
          .input = nodes_extent(comm, nodes),
          .output = segments[comm.rank()].extent,
          .agreed = nodes.elements,
          .sent = moved<S>(comm, how, nodes.leaves(), segments)};
}

template <class S>
std::unique_ptr<Transport<S>> transport(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                        const Segments& segments, bool everywhere, RingOptions options) {
  return make_transport<TreeTransport, S>(comm.gpu_aware(), comm, how, nodes, segments, everywhere, options);
}

}  // namespace

std::vector<Node> my_nodes(const Communicator& comm, index_t chunks) {
  return my_nodes(comm, TreeNodes{.chunks = chunks});
}

std::vector<Node> my_nodes(const Communicator& comm, const TreeNodes& nodes) {
  if (nodes.chunks < 1) refuse<ShapeError>("my_nodes", fmt::format("{} chunks", nodes.chunks), "at least 1");
  const Range mine = nodes.leaves().over(comm.size())[comm.rank()];
  return tree_cover(nodes.chunks, mine.offset, mine.end());
}

template <class S>
TreeAllreducePlan<S>::TreeAllreducePlan(const Communicator& comm, Allreduce how, const TreeNodes& nodes,
                                        RingOptions options)
    : Plan<S>(comm, allreduce_terms<S>(comm, how, nodes, options),
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
