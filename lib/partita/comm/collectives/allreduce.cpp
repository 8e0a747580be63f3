// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/allreduce.hpp>

#include <string>
#include <utility>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/mpi_calls.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {
namespace {

constexpr index_t short_bytes = 16 * 1024;  // one round trip counts for more than twice the bytes
constexpr index_t recursive_bytes = 32 * 1024;

// Between two ranks doubling sends as many bytes as halving, and all of them at once: whoever computes meanwhile has
// one arrival to see to instead of two that follow one another.
constexpr bool doubles(index_t bytes, index_t P) { return bytes <= short_bytes || P <= 2; }

template <class S>
PlanTerms terms(const Communicator& comm, Allreduce how, index_t n, RingOptions options, std::string_view operation) {
  constexpr auto size = static_cast<index_t>(sizeof(S));
  const index_t P = comm.size(), rank = comm.rank();
  const auto form = [&](const auto& count) {
    return how == Allreduce::ring ? closed_forms::ring_allreduce(n, P, rank, count)
           : doubles(n * size, P) ? closed_forms::doubling_allreduce(n, P, rank, count)
                                  : closed_forms::halving_allreduce(n, P, rank, count);
  };
  const index_t longest = how == Allreduce::ring ? Segments(n, comm.size()).longest() : n;
  return {.name = "AllreducePlan",
          .operation = std::string(operation),
          .algorithm = std::string(to_string(how)),
          .input = n,
          .output = n,
          .agreed = n,
          .in_place = true,
          .sent = how == Allreduce::mpi ? PlanTerms::mpi(n * size)
                                        : closed_forms::sent(size, options.chunk(longest, size), form)};
}

template <class S>
std::unique_ptr<Transport<S>> transport(const Communicator& comm, Allreduce how, index_t n, RingOptions options,
                                        Op op) {
  constexpr auto size = static_cast<index_t>(sizeof(S));
  const int P = comm.size(), rank = comm.rank();
  if (how == Allreduce::mpi) return mpi_allreduce<S>(comm, n, op);
  if (how == Allreduce::ring) {
    const Segments segments(n, P);
    return make_flow<S>(
        comm, ring_schedule(segments, rank, RingPart::allreduce, options.chunk(segments.longest(), size)), op);
  }
  const auto schedule = doubles(n * size, P) ? doubling_schedule : halving_schedule;
  return make_flow<S>(comm, schedule(n, P, rank, options.chunk(n, size)), op);
}

}  // namespace

std::string_view to_string(Allreduce how) {
  switch (how) {
    case Allreduce::mpi:
      return "mpi";
    case Allreduce::ring:
      return "ring";
    case Allreduce::recursive:
      return "recursive";
    case Allreduce::automatic:
      break;
  }
  return "automatic";
}

Allreduce resolved(Allreduce how, index_t bytes) {
  if (how != Allreduce::automatic) return how;
  return bytes <= recursive_bytes ? Allreduce::recursive : Allreduce::ring;
}

template <class S>
AllreducePlan<S>::AllreducePlan(const Communicator& comm, Allreduce how, index_t elements, RingOptions options, Op op,
                                std::string_view operation)
    : Plan<S>(comm,
              terms<S>(comm, resolved(how, elements * static_cast<index_t>(sizeof(S))), elements, options, operation),
              transport<S>(comm, resolved(how, elements * static_cast<index_t>(sizeof(S))), elements, options, op)) {}

template class AllreducePlan<float>;
template class AllreducePlan<double>;
template class AllreducePlan<bfloat16>;
template class AllreducePlan<float16>;

}  // namespace partita::comm
