// SPDX-License-Identifier: BSD-3-Clause
// What a collective costs by prediction: numbers worked by hand, and every message and byte that the counters saw.
#include <gtest/gtest.h>

#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/comm/work.hpp>

#include "support/mpi.hpp"

namespace partita::comm::work_tests {
namespace {

using test::world;

TEST(work, of_mpis_own_allreduce_by_hand) {
  EXPECT_EQ(mpi_allreduce_work(8000, 1), Work{});
  // Two ranks: each sends the half that the other adds (4000 byte: 12000 read and written), then the sum of its own.
  EXPECT_EQ(mpi_allreduce_work(8000, 2), (Work{2, 8000, 12000}));
  // Four ranks, short: two exchanges of all 1024 byte, both added.
  EXPECT_EQ(mpi_allreduce_work(1024, 4), (Work{2, 2048, 6144}));
  // Eight ranks, long: 1/2 + 1/4 + 1/8 of the bytes sent and added, the same sent back.
  EXPECT_EQ(mpi_allreduce_work(8000, 8), (Work{6, 14000, 21000}));
  // Three: one hands over 9000 byte, two do what two do, one is given 9000 byte.
  EXPECT_EQ(mpi_allreduce_work(9000, 3), (Work{4, 27000, 40500}));
}

TEST(work, is_seconds_on_a_machine) {
  const MachineRates rates{.latency_s = 1e-6, .link_byte_per_s = 1e9, .triad_byte_per_s = 1e10};
  EXPECT_DOUBLE_EQ(predicted_s({4, 5000, 30000}, rates), 4e-6 + 5e-6 + 3e-6);
}

/// The plan's own steps, run once: what was predicted, and what was counted.
TrafficEntry run(Allreduce how, index_t n, RingOptions options) {
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
  AllreducePlan<float>(comm, how, n, options).run(Exec(), Vector<float>("partita::test::work::x", n));
  return counted.entry("allreduce", to_string(how), "data");
}

TEST(work, of_a_ring_is_2_P_minus_1_segments_and_half_of_them_added) {
  const index_t P = world().size(), n = 100 * P;
  const auto once = static_cast<double>(P - 1);
  EXPECT_EQ(run(Allreduce::ring, n, {}).work, (Work{2 * once, 2 * once * 400, once * 1200}));
  // In chunks of 40 byte, 10 of them a segment.
  EXPECT_EQ(run(Allreduce::ring, n, {40, 100}).work, (Work{20 * once, 2 * once * 400, once * 1200}));
}

TEST(work, of_a_ring_counts_every_message_and_byte) {
  for (const index_t n : {0, 1, 2, 3, 5, 12, 1001})
    for (const RingOptions& options : {RingOptions{}, RingOptions{4, 100}, RingOptions{100, 7}}) {
      const TrafficEntry entry = run(Allreduce::ring, n, options);
      EXPECT_EQ(entry.work.messages, static_cast<double>(entry.messages)) << n;
      EXPECT_EQ(entry.work.link_bytes, static_cast<double>(entry.sent_bytes)) << n;
      const index_t P = world().size(), left = (world().rank() + P - 1) % P;
      const index_t added = P == 1 ? 0 : n - partition(n, P, left).extent;  // all but what arrives last
      EXPECT_EQ(entry.work.memory_bytes, 3 * 4 * static_cast<double>(added)) << n;
    }
}

TEST(work, grows_with_the_calls_and_is_forgotten_with_the_counts) {
  Traffic traffic;
  TrafficEntry& entry = traffic.entry("allreduce", "ring", "data");
  for (int call = 0; call < 3; ++call) entry.work += {1, 20, 300};
  EXPECT_EQ(entry.work, (Work{3, 60, 900}));
  traffic.reset();
  EXPECT_EQ(entry.work, Work{});
}

TrafficEntry run_tree(Allreduce how, const TreeNodes& terms) {
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
  const index_t n = terms.elements, nodes = std::ssize(my_nodes(comm, terms.chunks));
  TreeAllreducePlan<float>(comm, how, terms)
      .run(Exec(), Vector<float>("partita::test::work::nodes", nodes * n),
           Vector<float>("partita::test::work::sum", n));
  return counted.entry("tree_allreduce", to_string(how), "data");
}

TEST(work, of_a_tree_by_hand) {
  if (world().size() != 2) GTEST_SKIP() << "worked for two ranks";
  // C = 5, n = 8: a node each, of which half leaves, half is kept, and half of the root is copied: 3 copies of 16 byte;
  // one addition of 16 byte.
  const double memory = 3 * 2 * 16 + 3 * 16;
  EXPECT_EQ(run_tree(Allreduce::mpi, {8, 5}).work, (Work{2, 32, memory}));
  EXPECT_EQ(run_tree(Allreduce::ring, {8, 5}).work, (Work{2, 32, memory}));
}

TEST(work, of_a_tree_around_the_ring_counts_every_message_and_byte) {
  for (const index_t n : {0, 1, 3, 101})
    for (const index_t chunks : {1, 5, 24}) {
      const TrafficEntry entry = run_tree(Allreduce::ring, {n, chunks});
      EXPECT_EQ(entry.work.messages, static_cast<double>(entry.messages)) << n << " " << chunks;
      EXPECT_EQ(entry.work.link_bytes, static_cast<double>(entry.sent_bytes)) << n << " " << chunks;
    }
}

}  // namespace
}  // namespace partita::comm::work_tests
