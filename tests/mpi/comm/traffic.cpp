// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/traffic.hpp>

namespace partita::comm::traffic_tests {
namespace {

TEST(traffic, keeps_one_entry_for_each_name) {
  Traffic traffic;
  TrafficEntry& ring = traffic.entry("allreduce", "ring", "data");
  for (int i = 0; i < 100; ++i) traffic.entry("allreduce", "ring", "axis" + std::to_string(i));
  EXPECT_EQ(&traffic.entry("allreduce", "ring", "data"), &ring);  // the address stays good
  EXPECT_NE(&traffic.entry("allreduce", "mpi", "data"), &ring);
  EXPECT_NE(&traffic.entry("broadcast", "ring", "data"), &ring);
  EXPECT_EQ(traffic.entries().size(), 103u);
}

TEST(traffic, counts_and_forgets) {
  Traffic traffic;
  TrafficEntry& entry = traffic.entry("allreduce", "ring", "data");
  entry.calls = entry.messages = entry.sent_bytes = 3;
  entry.expected_bytes = 24.0;
  {
    const TrafficClock clock(&entry);
    for (const std::int64_t start = now_ns(); now_ns() == start;) {
    }
  }
  EXPECT_GT(entry.seconds, 0.0);
  traffic.reset();
  EXPECT_EQ(entry.calls, 0);
  EXPECT_EQ(entry.messages, 0);
  EXPECT_EQ(entry.sent_bytes, 0);
  EXPECT_EQ(entry.expected_bytes, 0.0);
  EXPECT_EQ(entry.seconds, 0.0);
  EXPECT_EQ(entry.operation, "allreduce");
  const TrafficClock nobody(nullptr);
}

/// Over all ranks, the forms give what the papers say, for every small n and P.
TEST(traffic, closed_forms_add_up) {
  for (index_t P = 1; P <= 9; ++P)
    for (index_t n = 0; n <= 40; ++n) {
      index_t scatter = 0, all = 0, tree_moves = 0, nodes = 0;
      const index_t C = 24;
      for (index_t rank = 0; rank < P; ++rank) {
        scatter += closed_forms::ring_reduce_scatter_bytes(n, P, rank, 4);
        all += closed_forms::ring_allreduce_bytes(n, P, rank, 4);
        nodes += closed_forms::tree_nodes(C, P, rank);
        tree_moves += closed_forms::tree_allreduce_ring_bytes(n, C, P, rank, 1) -
                      closed_forms::ring_all_gather_bytes(n, P, rank, 1);
      }
      EXPECT_EQ(scatter, (P - 1) * n * 4);
      EXPECT_EQ(all, 2 * (P - 1) * n * 4);
      // Each node's slice for the rank at distance d travels d hops: d sums to P (P-1) / 2 over equal slices.
      if (n % P == 0) {
        EXPECT_EQ(tree_moves, nodes * (n / P) * P * (P - 1) / 2);
      }
    }
}

}  // namespace
}  // namespace partita::comm::traffic_tests
