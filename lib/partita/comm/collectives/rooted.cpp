// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/rooted.hpp>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/mpi_calls.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {
namespace {

// A chain keeps every link busy with chunks; a binomial tree has fewer messages one after the other.
Tree tree_for(index_t bytes) { return bytes <= 64 * 1024 ? Tree::binomial : Tree::chain; }

const char* word(Tree tree) { return tree == Tree::binomial ? "binomial" : "chain"; }

template <class S>
constexpr index_t bytes(index_t n) {
  return n * static_cast<index_t>(sizeof(S));
}

// One message, if there is anything in it: longer ones MPI could not count.
template <class S>
closed_forms::Sent whole(Via how, index_t n) {
  return how == Via::mpi ? PlanTerms::mpi(bytes<S>(n)) : closed_forms::Sent{bytes<S>(n), closed_forms::Messages{}(n)};
}

template <class S>
closed_forms::Sent scattered(const Communicator& comm, Via how, const Segments& segments, int root) {
  const auto form = [&](const auto& count) {
    return comm.is_root(root) ? closed_forms::all_segments_but(segments, root, count) : 0;
  };
  const closed_forms::Sent all = closed_forms::sent(sizeof(S), closed_forms::Messages{}.longest, form);
  return how == Via::mpi ? PlanTerms::mpi(all.bytes) : all;
}

template <class S>
PlanTerms broadcast_terms(const Communicator& comm, Via how, index_t n, int root, RingOptions options) {
  const Tree tree = tree_for(bytes<S>(n));
  return {.name = "BroadcastPlan",
          .operation = "broadcast",
          .algorithm = how == Via::mpi ? "mpi" : word(tree),
          .input = n,
          .output = n,
          .agreed = n,
          .root = root,
          .in_place = true,
          .sent = how == Via::mpi ? PlanTerms::mpi(root_payload(comm.is_root(root), comm.size(), bytes<S>(n)))
                                  : closed_forms::sent(sizeof(S), options.chunk(n, sizeof(S)), [&](const auto& count) {
                                      return closed_forms::broadcast(n, comm.size(), comm.rank(), root, tree, count);
                                    })};
}

template <class S>
std::unique_ptr<Transport<S>> broadcast_transport(const Communicator& comm, Via how, index_t n, int root,
                                                  RingOptions options) {
  if (how == Via::mpi) return mpi_broadcast<S>(comm, n, root);
  return make_flow<S>(
      comm, broadcast_schedule(n, comm.size(), comm.rank(), root, tree_for(bytes<S>(n)), options.chunk(n, sizeof(S))));
}

template <class S>
PlanTerms reduce_terms(const Communicator& comm, Reduction how, index_t n, int root, RingOptions options) {
  const index_t mine = comm.is_root(root) ? 0 : n;
  return {.name = "ReducePlan",
          .operation = "reduce",
          .algorithm = how == Reduction::mpi       ? "mpi"
                       : how == Reduction::central ? "central"
                                                   : word(tree_for(bytes<S>(n))),
          .input = n,
          .output = n,
          .agreed = n,
          .root = root,
          .in_place = true,
          .sent = how == Reduction::mpi ? PlanTerms::mpi(bytes<S>(mine))
                                        : closed_forms::sent(sizeof(S), options.chunk(n, sizeof(S)),
                                                             [&](const auto& count) { return count(mine); })};
}

template <class S>
std::unique_ptr<Transport<S>> reduce_transport(const Communicator& comm, Reduction how, index_t n, int root,
                                               RingOptions options) {
  const index_t chunk = options.chunk(n, sizeof(S));
  if (how == Reduction::mpi) return mpi_reduce<S>(comm, n, root);
  if (how == Reduction::central)
    return make_flow<S>(comm, central_reduce_schedule(n, comm.size(), comm.rank(), root, chunk));
  return make_flow<S>(comm, reduce_schedule(n, comm.size(), comm.rank(), root, tree_for(bytes<S>(n)), chunk));
}

}  // namespace

template <class S>
BroadcastPlan<S>::BroadcastPlan(const Communicator& comm, Via how, index_t elements, int root, RingOptions options)
    : Plan<S>(comm, broadcast_terms<S>(comm, how, elements, root, options),
              broadcast_transport<S>(comm, how, elements, root, options)) {}

template <class S>
ReducePlan<S>::ReducePlan(const Communicator& comm, Reduction how, index_t elements, int root, RingOptions options)
    : Plan<S>(comm, reduce_terms<S>(comm, how, elements, root, options),
              reduce_transport<S>(comm, how, elements, root, options)) {}

template <class S>
GatherPlan<S>::GatherPlan(const Communicator& comm, Via how, const Segments& segments, int root)
    : Plan<S>(comm,
              {.name = "GatherPlan",
               .operation = "gather",
               .algorithm = how == Via::mpi ? "mpi" : "direct",
               .input = segments[comm.rank()].extent,
               .output = comm.is_root(root) ? segments.elements() : 0,
               .agreed = segments.elements(),
               .root = root,
               .sent = whole<S>(how, comm.is_root(root) ? 0 : segments[comm.rank()].extent)},
              how == Via::mpi ? mpi_gather<S>(comm, segments, root)
                              : make_flow<S>(comm, gather_schedule(segments, comm.rank(), root))) {}

template <class S>
ScatterPlan<S>::ScatterPlan(const Communicator& comm, Via how, const Segments& segments, int root)
    : Plan<S>(comm,
              {.name = "ScatterPlan",
               .operation = "scatter",
               .algorithm = how == Via::mpi ? "mpi" : "direct",
               .input = comm.is_root(root) ? segments.elements() : 0,
               .output = segments[comm.rank()].extent,
               .agreed = segments.elements(),
               .root = root,
               .sent = scattered<S>(comm, how, segments, root)},
              how == Via::mpi ? mpi_scatter<S>(comm, segments, root)
                              : make_flow<S>(comm, scatter_schedule(segments, comm.rank(), root))) {}

#define PARTITA_COMM_ROOTED(S)     \
  template class BroadcastPlan<S>; \
  template class ReducePlan<S>;    \
  template class GatherPlan<S>;    \
  template class ScatterPlan<S>;
PARTITA_COMM_ROOTED(float)
PARTITA_COMM_ROOTED(double)
PARTITA_COMM_ROOTED(bfloat16)
PARTITA_COMM_ROOTED(float16)
#undef PARTITA_COMM_ROOTED

}  // namespace partita::comm
