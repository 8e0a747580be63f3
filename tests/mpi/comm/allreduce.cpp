// SPDX-License-Identifier: BSD-3-Clause
// The sum over ranks in chunks of any size, and the same bits everywhere. collectives.cpp has the rest.
#include <string>

#include <gtest/gtest.h>

#include <partita/comm/collectives/allreduce.hpp>

#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::comm::allreduce_tests {
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

TEST_P(allreduce, gives_the_same_bits_everywhere) {
  const Exec exec;
  const index_t n = 1001;
  Vector<float> x("partita::test::allreduce::x", n);
  const auto host = Kokkos::create_mirror_view(x);
  for (index_t i = 0; i < n; ++i) host(i) = 1.0f / static_cast<float>(3 * i + world().rank() + 1);
  Kokkos::deep_copy(x, host);
  AllreducePlan<float>(world(), GetParam(), n, {.chunk_bytes = 256, .most_chunks = 100}).run(exec, x);
  Kokkos::deep_copy(host, x);
  EXPECT_TRUE(test::same_on_all_ranks(world(), std::span<const float>(host.data(), n)));
}

INSTANTIATE_TEST_SUITE_P(by, allreduce,
                         ::testing::Values(Allreduce::mpi, Allreduce::ring, Allreduce::recursive, Allreduce::automatic),
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

}  // namespace
}  // namespace partita::comm::allreduce_tests
