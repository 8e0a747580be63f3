// SPDX-License-Identifier: BSD-3-Clause
#include "operations.hpp"

#include <algorithm>
#include <limits>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/exchange.hpp>
#include <partita/comm/collectives/rooted.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/metrics/efficiency.hpp>

namespace partita::comm_bench {
namespace {

using comm::Allreduce;
using comm::Communicator;
using comm::Reduction;
using comm::RingOptions;
using comm::Segments;
using comm::Via;

constexpr double anything = std::numeric_limits<double>::quiet_NaN();
constexpr index_t tree_chunks = 24;  // train.deterministic_chunks by default

/// What rank r gives for element i; never 0, so that a rank that is missing in a sum is missed.
double term(int rank, index_t i) { return static_cast<double>(1 + i % 64 + rank); }

/// Of ranks 0 .. P-1.
double sum(index_t P, index_t i) {
  const auto ranks = static_cast<double>(P);
  return ranks * term(0, i) + ranks * (ranks - 1) / 2;
}

template <template <class> class P, class... Args>
std::unique_ptr<comm::Plan<float>> plan(const Communicator& comm, const Args&... args) {
  return std::make_unique<P<float>>(comm, args...);
}

/// Every rank's own numbers in a buffer that is input and output.
Call in_place(std::unique_ptr<comm::Plan<float>> plan, const Communicator& comm, index_t n,
              std::function<double(index_t)> wanted) {
  return {.plan = std::move(plan),
          .in_place = true,
          .input = n,
          .output = n,
          .given = [me = comm.rank()](index_t i) { return term(me, i); },
          .wanted = std::move(wanted)};
}

std::function<double(index_t)> all_sums(const Communicator& comm) {
  return [P = comm.size()](index_t i) { return sum(P, i); };
}

/// The numbers of rank 0 from element `first` on.
std::function<double(index_t)> roots(index_t first) {
  return [first](index_t i) { return term(0, first + i); };
}

auto allreduce(Allreduce how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    return in_place(plan<comm::AllreducePlan>(comm, how, n, options), comm, n, all_sums(comm));
  };
}

auto reduce_scatter(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    const Segments segments(n, comm.size());
    return in_place(plan<comm::ReduceScatterPlan>(comm, how, segments, options), comm, n,
                    [P = comm.size(), mine = segments[comm.rank()]](index_t i) {
                      return mine.offset <= i && i < mine.end() ? sum(P, i) : anything;
                    });
  };
}

auto all_gather(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    const Segments segments(n, comm.size());
    const Range mine = segments[comm.rank()];
    return Call{.plan = plan<comm::AllGatherPlan>(comm, how, segments, options),
                .in_place = false,
                .input = mine.extent,
                .output = n,
                .given = roots(mine.offset),
                .wanted = roots(0)};
  };
}

auto broadcast(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    return in_place(plan<comm::BroadcastPlan>(comm, how, n, 0, options), comm, n, roots(0));
  };
}

auto reduce(Reduction how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    return in_place(plan<comm::ReducePlan>(comm, how, n, 0, options), comm, n,
                    [P = comm.size(), is_root = comm.is_root()](index_t i) { return is_root ? sum(P, i) : anything; });
  };
}

auto gather(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions&) {
    const Segments segments(n, comm.size());
    const Range mine = segments[comm.rank()];
    return Call{.plan = plan<comm::GatherPlan>(comm, how, segments, 0),
                .in_place = false,
                .input = mine.extent,
                .output = comm.is_root() ? n : 0,
                .given = roots(mine.offset),
                .wanted = roots(0)};
  };
}

auto scatter(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions&) {
    const Segments segments(n, comm.size());
    const Range mine = segments[comm.rank()];
    return Call{.plan = plan<comm::ScatterPlan>(comm, how, segments, 0),
                .in_place = false,
                .input = comm.is_root() ? n : 0,
                .output = mine.extent,
                .given = roots(0),
                .wanted = roots(mine.offset)};
  };
}

auto all_to_all(Via how) {
  return [how](const Communicator& comm, index_t n, const RingOptions&) {
    const Segments segments(n, comm.size());
    const Range mine = segments[comm.rank()];
    return Call{
        .plan = plan<comm::AllToAllPlan>(comm, how, segments),
        .in_place = false,
        .input = n,
        .output = comm.size() * mine.extent,
        .given = [me = comm.rank()](index_t i) { return term(me, i); },
        .wanted = [mine](index_t i) { return term(static_cast<int>(i / mine.extent), mine.offset + i % mine.extent); }};
  };
}

/// On a circle: n elements to each neighbour, from an interior of twice as many.
Call halo(const Communicator& comm, index_t n, const RingOptions&) {
  const index_t interior = 2 * n;
  const int P = comm.size(), me = comm.rank(), left = (me + P - 1) % P, right = (me + 1) % P;
  return in_place(plan<comm::HaloPlan>(comm, interior, n, true), comm, interior + 2 * n, [=](index_t i) {
    if (P > 1 && i < n) return term(left, interior + i);
    if (P > 1 && i >= interior + n) return term(right, i - interior);
    return term(me, i);
  });
}

Call transfer(const Communicator& comm, index_t n, const RingOptions&) {
  const int last = comm.size() - 1;
  const bool takes_part = comm.rank() == 0 || comm.rank() == last;
  return in_place(plan<comm::TransferPlan>(comm, n, 0, last), comm, takes_part ? n : 0, roots(0));
}

/// The chunks' sums: chunk c gives what rank c gives elsewhere.
auto tree_allreduce(Allreduce how) {
  return [how](const Communicator& comm, index_t n, const RingOptions& options) {
    const comm::TreeNodes nodes{.elements = n, .chunks = tree_chunks};
    const std::vector<Node> mine = comm::my_nodes(comm, tree_chunks);
    return Call{.plan = plan<comm::TreeAllreducePlan>(comm, how, nodes, options),
                .in_place = false,
                .input = std::ssize(mine) * n,
                .output = n,
                .given =
                    [mine, n](index_t i) {
                      const Node node = mine[static_cast<std::size_t>(i / n)];
                      return sum(node.hi, i % n) - sum(node.lo, i % n);
                    },
                .wanted = [](index_t i) { return sum(tree_chunks, i); }};
  };
}

}  // namespace

const std::vector<Operation>& operations() {
  using namespace metrics;
  static const std::vector<Operation> all = {
      {"allreduce",
       "all-reduce, sum of floats; byte: the buffer",
       "2 (P-1) / P",
       busbw_factor_allreduce,
       {{"mpi", allreduce(Allreduce::mpi)},
        {"ring", allreduce(Allreduce::ring)},
        {"recursive", allreduce(Allreduce::recursive)}}},
      {"reduce_scatter",
       "reduce-scatter, sum of floats; byte: the buffer of all segments",
       "(P-1) / P",
       busbw_factor_reduce_scatter,
       {{"mpi", reduce_scatter(Via::mpi)}, {"ring", reduce_scatter(Via::own)}}},
      {"all_gather",
       "all-gather; byte: the buffer of all segments",
       "(P-1) / P",
       busbw_factor_allgather,
       {{"mpi", all_gather(Via::mpi)}, {"ring", all_gather(Via::own)}}},
      {"broadcast",
       "broadcast from rank 0; byte: the buffer",
       "1",
       busbw_factor_broadcast,
       {{"mpi", broadcast(Via::mpi)}, {"tree", broadcast(Via::own)}}},
      {"reduce",
       "reduce to rank 0, sum of floats; byte: the buffer",
       "1",
       busbw_factor_broadcast,
       {{"mpi", reduce(Reduction::mpi)}, {"tree", reduce(Reduction::tree)}, {"central", reduce(Reduction::central)}}},
      {"gather",
       "gather to rank 0; byte: the buffer of all segments",
       "(P-1) / P",
       busbw_factor_allgather,
       {{"mpi", gather(Via::mpi)}, {"direct", gather(Via::own)}}},
      {"scatter",
       "scatter from rank 0; byte: the buffer of all segments",
       "(P-1) / P",
       busbw_factor_allgather,
       {{"mpi", scatter(Via::mpi)}, {"direct", scatter(Via::own)}}},
      {"all_to_all",
       "all-to-all; byte: what a rank has for all",
       "(P-1) / P",
       busbw_factor_allgather,
       {{"mpi", all_to_all(Via::mpi)}, {"pairwise", all_to_all(Via::own)}}},
      {"halo", "halo on a circle of ranks; byte: to each neighbour", "1", busbw_factor_broadcast, {{"direct", halo}}},
      {"transfer",
       "transfer from the first to the last rank; byte: the message",
       "1",
       busbw_factor_broadcast,
       {{"direct", transfer}}},
      {"tree_allreduce",
       "all-reduce of deterministic mode, 24 chunks; byte: the sum",
       "2 (P-1) / P",
       busbw_factor_allreduce,
       {{"mpi", tree_allreduce(Allreduce::mpi)}, {"ring", tree_allreduce(Allreduce::ring)}}},
  };
  return all;
}

std::vector<std::string> operation_words() {
  std::vector<std::string> words = {std::string(ping_pong_word)};
  for (const Operation& operation : operations()) words.emplace_back(operation.word);
  return words;
}

std::vector<std::string> algorithm_words() {
  std::vector<std::string> words;
  for (const Operation& operation : operations())
    for (const Algorithm& algorithm : operation.algorithms)
      if (std::ranges::find(words, algorithm.word) == words.end()) words.emplace_back(algorithm.word);
  return words;
}

}  // namespace partita::comm_bench
