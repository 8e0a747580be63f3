// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include <gtest/gtest.h>

#include <partita/driver/by_name.hpp>
#include <partita/driver/traffic_rows.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::driver::traffic_rows_tests {
namespace {

using partita::test::world;
using Integers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

TEST(traffic_rows, names_are_united_in_order_of_first_appearance) {
  const Names own[] = {{"b", "a"}, {}, {"c", "", "a", "b"}};
  const NameUnion all = gather_names(world(), own[world().rank() % 3]);
  if (!world().is_root()) {
    EXPECT_TRUE(all.names.empty() && all.place.empty());
    return;
  }
  EXPECT_EQ(all.names, world().size() < 3 ? (Names{"b", "a"}) : (Names{"b", "a", "c", ""}));
  ASSERT_EQ(all.place.size(), static_cast<std::size_t>(world().size()));
  const std::vector<index_t> expected[] = {{0, 1}, {}, {2, 3, 1, 0}};
  for (std::size_t r = 0; r < all.place.size(); ++r) EXPECT_EQ(all.place[r], expected[r]) << r;
}

// Rank 0 is a server, the others are workers who also talk among themselves; the last one has nothing that counts.
void count_unlike(comm::Traffic& traffic) {
  const int rank = world().rank();
  if (rank == 0) {
    traffic.entry("answer", "mpi", "server") = {"answer", "mpi", "server", 4, 8, 800, 0.5, 8, 800, 0.25};
    traffic.entry("allreduce", "ring", "data") = {"allreduce", "ring", "data", 1, 2, 3, 0.125, 2, 3, 0};
  } else if (rank == 1) {
    traffic.entry("allreduce", "ring", "data") = {"allreduce", "ring", "data", 10, 20, 30, 1.5, 21, 31, 0};
    traffic.entry("allreduce", "ring", "workers") = {"allreduce", "ring", "workers", 5, 5, 50, 2.5, 5, 50, 0};
    traffic.entry("push", "mpi", "server") = {"push", "mpi", "server", 7, 7, 70, 3.5, 7, 71, 0};
  }
}

TEST(traffic_rows, unlike_ranks_are_collected_by_name) {
  comm::Traffic traffic;
  count_unlike(traffic);
  const std::vector<metrics::TrafficRow> rows = collect_traffic(world(), traffic, {});
  if (!world().is_root()) {
    EXPECT_TRUE(rows.empty());
    return;
  }
  const auto ranks = static_cast<std::size_t>(world().size());
  ASSERT_EQ(rows.size(), ranks == 1 ? 2u : 4u);
  const auto padded = [&](Integers values) {
    values.resize(ranks);
    return values;
  };
  EXPECT_EQ(rows[0].kind, "answer");
  EXPECT_EQ(rows[0].algorithm, "mpi");
  EXPECT_EQ(rows[0].axis, "server");
  EXPECT_EQ(rows[0].calls, padded({4}));
  EXPECT_EQ(rows[0].predicted_s, 0.25);
  EXPECT_EQ(rows[1].axis, "data");
  EXPECT_EQ(rows[1].calls, padded({1, 10}));
  EXPECT_EQ(rows[1].messages, padded({2, 20}));
  EXPECT_EQ(rows[1].sent_bytes, padded({3, 30}));
  for (const metrics::TrafficRow& row : rows) {
    ASSERT_EQ(row.seconds.size(), ranks);
    ASSERT_EQ(row.expected_bytes.size(), ranks);
    if (ranks == 3) {
      EXPECT_EQ(row.seconds[2], 0) << row.kind;
      EXPECT_EQ(row.expected_bytes[2], 0) << row.kind;
      EXPECT_EQ(row.expected_messages.at(2), 0) << row.kind;
    }
  }
  EXPECT_TRUE(std::isnan(rows[1].predicted_s));  // nobody predicted, and there is no calibration
  if (ranks == 1) return;
  EXPECT_EQ(rows[1].seconds[1], 1.5);
  EXPECT_EQ(rows[1].expected_bytes[1], 31);
  EXPECT_EQ(rows[1].expected_messages[1], 21);
  EXPECT_EQ(rows[2].axis, "workers");
  EXPECT_EQ(rows[2].sent_bytes, padded({0, 50}));
  EXPECT_EQ(rows[3].kind, "push");
  EXPECT_EQ(rows[3].calls, padded({0, 7}));
  EXPECT_EQ(rows[3].expected_bytes[0], 0);
}

TEST(traffic_rows, no_traffic_is_no_row) { EXPECT_TRUE(collect_traffic(world(), {}, {}).empty()); }

TEST(traffic_rows, the_busiest_rank_predicts_the_time) {
  comm::Traffic traffic;
  const int rank = world().rank();
  traffic.entry("push", "mpi", "server") = {"push", "mpi", "server", 1, 10 + rank, 1000 + rank, 0, 10.0 + rank, 0, 0};
  const auto rows = collect_traffic(world(), traffic,
                                    {{"ping_pong_latency_s", 1e-3, "s", ""}, {"ping_pong_byte_per_s", 1e4, "", ""}});
  if (!world().is_root()) return;
  const int last = world().size() - 1;
  if (last == 0) {
    EXPECT_TRUE(std::isnan(rows.at(0).predicted_s));
  } else {
    EXPECT_DOUBLE_EQ(rows.at(0).predicted_s, 1e-3 * (10 + last) + (1000 + last) / 1e4);
  }
}

TEST(traffic_rows, the_work_of_the_algorithm_predicts_the_time) {
  comm::Traffic traffic;
  comm::TrafficEntry& entry = traffic.entry("allreduce", "mpi", "data");
  entry = {"allreduce", "mpi", "data", 1, 1, 1000, 0, 1, 0, 0};
  entry.work = {6, 1500.0 + world().rank(), 2000};
  const auto rows = collect_traffic(world(), traffic,
                                    {{"ping_pong_latency_s", 1e-3, "s", ""},
                                     {"ping_pong_byte_per_s", 1e9, "", ""},
                                     {"shift_byte_per_s", 1e4, "", ""},  // all ranks at once, as in the algorithm
                                     {"triad_byte_per_s", 1e5, "", ""}});
  if (!world().is_root()) return;
  const int last = world().size() - 1;
  if (last == 0) {
    EXPECT_TRUE(std::isnan(rows.at(0).predicted_s));
  } else {
    EXPECT_DOUBLE_EQ(rows.at(0).predicted_s, 6e-3 + (1500 + last) / 1e4 + 2000 / 1e5);
  }
}

}  // namespace
}  // namespace partita::driver::traffic_rows_tests
