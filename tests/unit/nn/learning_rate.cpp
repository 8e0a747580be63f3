// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/learning_rate.hpp>

namespace partita::nn::learning_rate_tests {
namespace {

TEST(learning_rate, constant_stays) { EXPECT_EQ(learning_rate_factor(LearningRate::constant, 7, 10), 1); }

TEST(learning_rate, cosine_falls_from_one_through_a_half_to_zero) {
  EXPECT_DOUBLE_EQ(learning_rate_factor(LearningRate::cosine, 0, 10), 1);
  EXPECT_DOUBLE_EQ(learning_rate_factor(LearningRate::cosine, 5, 10), 0.5);
  EXPECT_NEAR(learning_rate_factor(LearningRate::cosine, 10, 10), 0, 1e-16);
  for (index_t s = 0; s < 10; ++s)
    EXPECT_GT(learning_rate_factor(LearningRate::cosine, s, 10), learning_rate_factor(LearningRate::cosine, s + 1, 10));
}

}  // namespace
}  // namespace partita::nn::learning_rate_tests
