// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/schedule.hpp>

namespace partita::nn {
namespace {

TEST(schedule, constant_stays) { EXPECT_EQ(schedule_factor(Schedule::constant, 7, 10), 1); }

TEST(schedule, cosine_falls_from_one_through_a_half_to_zero) {
  EXPECT_DOUBLE_EQ(schedule_factor(Schedule::cosine, 0, 10), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(Schedule::cosine, 5, 10), 0.5);
  EXPECT_NEAR(schedule_factor(Schedule::cosine, 10, 10), 0, 1e-16);
  for (index_t s = 0; s < 10; ++s)
    EXPECT_GT(schedule_factor(Schedule::cosine, s, 10), schedule_factor(Schedule::cosine, s + 1, 10));
}

}  // namespace
}  // namespace partita::nn
