// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/probe.hpp>
#include <partita/core/clock.hpp>

#include "support/mpi.hpp"

namespace partita::comm::probe_tests {
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

TEST(probe, all_ranks_shift_at_once_and_know_the_rate_of_the_slowest) {
  const double rate = shift_byte_per_s(world());
  EXPECT_GT(rate, 0.0);
  EXPECT_EQ(std::isinf(rate), world().size() == 1);
  EXPECT_EQ(world().allreduce(rate, Op::min), world().allreduce(rate, Op::max));
}

TEST(probe, clock_offsets_are_small_on_one_host) {
  // One host has one monotonic clock: what an offset is, it is wrong by.
  const std::int64_t before_ns = now_ns();
  const std::vector<ClockOffset> offsets = clock_offsets(world(), 0, 4);
  if (world().rank() != 0) {
    EXPECT_TRUE(offsets.empty());
    return;
  }
  ASSERT_EQ(static_cast<int>(offsets.size()), world().size());
  EXPECT_EQ(offsets[0].offset_ns, 0);
  for (const ClockOffset& look : offsets) {
    EXPECT_LE(std::abs(look.offset_ns), look.error_ns);
    EXPECT_LT(look.error_ns, now_ns() - before_ns);
    EXPECT_GE(look.at_ns, before_ns);
    EXPECT_LE(look.at_ns, now_ns());
  }
}

}  // namespace
}  // namespace partita::comm::probe_tests
