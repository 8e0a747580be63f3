// SPDX-License-Identifier: BSD-3-Clause
// The sum over ranks by both algorithms: right, the same bits everywhere, and the traffic that the closed forms say.
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/allreduce.hpp>

#include "support/caught.hpp"
#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::comm {
namespace {

using test::world;

/// Small integers: every order of sums is exact, so the oracle is exact too.
double term(int rank, index_t i) { return static_cast<double>((i * 7 + rank * 13) % 101 - 50); }

template <class S>
Vector<S> make_input(int rank, index_t n) {
  Vector<S> x("partita::test::allreduce::x", n);
  const auto host = Kokkos::create_mirror_view(x);
  for (index_t i = 0; i < n; ++i) host(i) = static_cast<S>(term(rank, i));
  Kokkos::deep_copy(x, host);
  return x;
}

template <class S>
index_t count_wrong(Vector<S> x, int ranks) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
  index_t wrong = 0;
  for (index_t i = 0; i < static_cast<index_t>(host.extent(0)); ++i) {
    double sum = 0;
    for (int r = 0; r < ranks; ++r) sum += term(r, i);
    wrong += host(i) != static_cast<S>(sum);
  }
  return wrong;
}

template <class S>
void expect_sum(const Communicator& comm, Allreduce how, index_t n, RingOptions options) {
  const Exec exec;
  AllreducePlan<S> plan(comm, how, n, options);
  for (int call = 0; call < 2; ++call) {  // scratch is reused
    const Vector<S> x = make_input<S>(comm.rank(), n);
    plan.run(exec, x);
    EXPECT_EQ(count_wrong(x, comm.size()), 0)
        << to_string(how) << " n=" << n << " chunk=" << options.chunk_bytes << " most=" << options.most_chunks;
  }
}

/// None, fewer than P, not divisible by P.
const index_t sizes[] = {0, 1, 2, 3, 5, 12, 1001};

class allreduce : public ::testing::TestWithParam<Allreduce> {};

TEST_P(allreduce, sums_any_size) {
  for (const index_t n : sizes) {
    expect_sum<float>(world(), GetParam(), n, {});
    expect_sum<double>(world(), GetParam(), n, {});
  }
}

TEST_P(allreduce, stages_through_the_host_where_mpi_cannot_reach_the_device) {
  const Communicator unaware = Communicator::borrow(world().handle(), "unaware", nullptr, false);
  for (const index_t n : {0, 3, 1001})
    expect_sum<float>(unaware, GetParam(), n, {.chunk_bytes = 256, .most_chunks = 100});
}

TEST_P(allreduce, refuses_another_extent) {
  AllreducePlan<float> plan(world(), GetParam(), 10);
  const Vector<float> x("partita::test::allreduce::x", 11);
  EXPECT_EQ(::partita::testing::caught<ShapeError>([&] { plan.run(Exec(), x); }),
            "AllreducePlan::run: inout has 11 elements: expected 10, as planned");
}

INSTANTIATE_TEST_SUITE_P(by, allreduce, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& it) { return std::string(to_string(it.param)); });

/// Chunks of one element, of some with a rest, as many as allowed; segments that differ in their number of chunks.
TEST(allreduce_ring, sums_in_chunks_of_any_size) {
  for (const index_t n : {5, 17, 25}) expect_sum<float>(world(), Allreduce::ring, n, {1, 100});
  for (const index_t most : {1, 2, 3, 7}) expect_sum<float>(world(), Allreduce::ring, 100, {1, most});
  expect_sum<float>(world(), Allreduce::ring, 100, {40, 100});
  expect_sum<double>(world(), Allreduce::ring, 4099, {4096, 100});
}

/// Longer than what MPI sends eagerly: a message is then read where it stands, and must not be overwritten too early.
TEST(allreduce_ring, sums_long_messages) { expect_sum<float>(world(), Allreduce::ring, 500'001, {}); }

TEST(allreduce_ring, gives_the_same_bits_everywhere) {
  const Exec exec;
  const index_t n = 1001;
  Vector<float> x("partita::test::allreduce::x", n);
  const auto host = Kokkos::create_mirror_view(x);
  for (index_t i = 0; i < n; ++i) host(i) = 1.0f / static_cast<float>(3 * i + world().rank() + 1);
  Kokkos::deep_copy(x, host);
  AllreducePlan<float>(world(), Allreduce::ring, n, {.chunk_bytes = 256, .most_chunks = 100}).run(exec, x);
  Kokkos::deep_copy(host, x);
  EXPECT_TRUE(test::same_on_all_ranks(world(), std::span<const float>(host.data(), n)));
}

TEST(allreduce_ring, sends_exactly_the_closed_form) {
  const int P = world().size();
  for (const index_t n : sizes) {
    Traffic counted;
    const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
    AllreducePlan<float> plan(comm, Allreduce::ring, n, {.chunk_bytes = 400, .most_chunks = 100});
    plan.run(Exec(), make_input<float>(comm.rank(), n));
    plan.run(Exec(), make_input<float>(comm.rank(), n));
    const TrafficEntry& entry = counted.entry("allreduce", "ring", "data");
    const index_t expected = 2 * closed_forms::ring_allreduce_bytes(n, P, comm.rank(), sizeof(float));
    EXPECT_EQ(entry.calls, 2);
    EXPECT_EQ(entry.sent_bytes, expected) << "n=" << n;
    EXPECT_EQ(entry.expected_bytes, static_cast<double>(expected)) << "n=" << n;
    EXPECT_EQ(comm.allreduce(entry.sent_bytes, Op::sum), 2 * 2 * (P - 1) * n * static_cast<index_t>(sizeof(float)));
    EXPECT_GE(entry.seconds, 0.0);
  }
}

TEST(allreduce_ring, halves_do_what_they_say) {
  const int P = world().size(), me = world().rank();
  const index_t n = 103;
  detail::RingPlan<float, detail::Side::exec> ring(world(), n, {.chunk_bytes = 32, .most_chunks = 100});
  Traffic counted;
  TrafficEntry& entry = counted.entry("reduce_scatter", "ring", "data");
  const Vector<float> x = make_input<float>(me, n);
  {
    TrafficCall call(&entry);
    ring.reduce_scatter(Exec(), x.data(), call);
  }
  EXPECT_EQ(entry.sent_bytes, closed_forms::ring_reduce_scatter_bytes(n, P, me, sizeof(float)));
  const Slice mine = ring.segment(me);
  const Vector<float> gathered("partita::test::allreduce::gathered", n);
  const auto part = Kokkos::subview(x, std::pair<index_t, index_t>(mine.offset, mine.end()));
  Kokkos::deep_copy(Kokkos::subview(gathered, std::pair<index_t, index_t>(mine.offset, mine.end())), part);
  counted.reset();
  {
    TrafficCall call(&entry);
    ring.all_gather(Exec(), gathered.data(), call);
  }
  EXPECT_EQ(entry.sent_bytes, closed_forms::ring_all_gather_bytes(n, P, me, sizeof(float)));
  EXPECT_EQ(count_wrong(gathered, P), 0);
}

TEST(allreduce_mpi, counts_the_payload_of_a_call) {
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
  AllreducePlan<double>(comm, Allreduce::mpi, 10).run(Exec(), make_input<double>(comm.rank(), 10));
  const TrafficEntry& entry = counted.entry("allreduce", "mpi", "data");
  EXPECT_EQ(entry.messages, 1);
  EXPECT_EQ(entry.sent_bytes, 80);
}

}  // namespace
}  // namespace partita::comm
