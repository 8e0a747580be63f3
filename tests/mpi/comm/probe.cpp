// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/comm/probe.hpp>
#include <vector>

#include "support/mpi.hpp"

namespace partita::comm {
namespace {

using test::world;

TEST(probe, ping_pong_gives_its_samples_to_the_first_rank) {
  const int a = world().size() - 1, b = 0;
  const std::vector<double> samples = ping_pong_s(world(), a, b, 1000, 3, 1);
  if (world().rank() == a && a != b) {
    ASSERT_EQ(samples.size(), 3u);
    for (const double s : samples) EXPECT_GT(s, 0.0);
  } else {
    EXPECT_TRUE(samples.empty());
  }
}

TEST(probe, clock_offsets_are_small_on_one_host) {
  // One host has one monotonic clock: an offset is at most half the round trip, which is bounded by the time for all.
  const std::vector<std::int64_t> offsets = clock_offsets_ns(world(), 0, 4);
  if (world().rank() != 0) {
    EXPECT_TRUE(offsets.empty());
    return;
  }
  ASSERT_EQ(static_cast<int>(offsets.size()), world().size());
  EXPECT_EQ(offsets[0], 0);
  for (const std::int64_t offset : offsets) EXPECT_LT(std::abs(offset), 1'000'000'000);
}

}  // namespace
}  // namespace partita::comm
