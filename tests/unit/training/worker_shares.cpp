// SPDX-License-Identifier: BSD-3-Clause
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/training/worker_shares.hpp>

#include <support/caught.hpp>

namespace partita::training::worker_shares_tests {
namespace {

using Rows = std::vector<index_t>;

Rows rows(index_t batch, const std::vector<double>& shares, index_t least = 1) {
  return rows_of_shares(batch, shares, least);
}

TEST(worker_shares, rows_are_those_of_the_largest_remainders) {
  EXPECT_EQ(rows(464, {1, 4, 4, 4, 4, 4, 4, 4}), (Rows{16, 64, 64, 64, 64, 64, 64, 64}));
  EXPECT_EQ(rows(10, {1, 1, 1}), (Rows{4, 3, 3}));
  EXPECT_EQ(rows(10, {0.2, 0.35, 0.45}), (Rows{2, 4, 4})) << "3.5 and 4.5: the first one";
}

TEST(worker_shares, everybody_has_the_least) {
  EXPECT_EQ(rows(6, {1e-9, 1, 1}, 2), (Rows{2, 2, 2}));
  const Rows few = rows(100, {1e-9, 1, 1}, 3);
  EXPECT_EQ(few.front(), 3);
  EXPECT_EQ(std::accumulate(few.begin(), few.end(), index_t{0}), 100);
  EXPECT_EQ(partita::testing::caught<UsageError>([] {
              rows(5, {1, 1, 1}, 2);
            }),
            "train.batch: 5 rows of 3 workers: expected at least 2 each");
}

TEST(worker_shares, who_is_slow_has_less_by_as_much) {
  const std::vector<double> times = {4, 1, 1, 2};
  EXPECT_EQ(rows(33, shares_of_times(times)), (Rows{3, 12, 12, 6}));
}

TEST(worker_shares, of_times_that_no_clock_saw_are_numbers) {
  for (const double share : shares_of_times(std::vector<double>(3, 0.0))) EXPECT_EQ(share, 1);
  const Rows some = rows(10, shares_of_times(std::vector<double>{0, 1}));
  EXPECT_EQ(some, (Rows{9, 1}));
}

}  // namespace
}  // namespace partita::training::worker_shares_tests
