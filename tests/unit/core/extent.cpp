// SPDX-License-Identifier: BSD-3-Clause
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/extent.hpp>

namespace partita {
namespace {

TEST(extent, products_and_sums_that_fit_are_exact) {
  EXPECT_EQ(checked_product(0, too_large), 0);
  EXPECT_EQ(checked_product(3, 5), 15);
  EXPECT_EQ(checked_product(index_t{1} << 31, index_t{1} << 31), index_t{1} << 62);
  EXPECT_EQ(checked_product(too_large, 1), too_large);
  EXPECT_EQ(checked_sum(too_large - 1, 1), too_large);
  EXPECT_EQ(checked_sum(2, 3), 5);
}

TEST(extent, what_does_not_fit_is_too_large) {
  EXPECT_EQ(checked_product(index_t{1} << 32, index_t{1} << 31), too_large);
  EXPECT_EQ(checked_product(too_large, 2), too_large);
  EXPECT_EQ(checked_sum(too_large, 1), too_large);
}

TEST(extent, lists_stay_too_large_unless_they_are_empty) {
  using List = std::vector<index_t>;
  EXPECT_EQ(checked_product(List{}), 1);
  EXPECT_EQ(checked_product(List{2, 3, 7}), 42);
  EXPECT_EQ(checked_product(List{too_large, too_large, 3}), too_large);
  EXPECT_EQ(checked_product(List{too_large, 2, 0}), 0);
}

}  // namespace
}  // namespace partita
