// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <partita/metrics/statistics.hpp>

namespace partita::metrics::statistics_tests {
namespace {

using namespace partita;
using namespace partita::metrics;

const double nan = std::numeric_limits<double>::quiet_NaN();

// 1 .. n in an order that is neither ascending nor descending.
std::vector<double> shuffled(index_t n) {
  std::vector<double> x(static_cast<std::size_t>(n));
  std::iota(x.begin(), x.end(), 1.0);
  std::rotate(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n / 3), x.end());
  std::reverse(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n / 2));
  return x;
}

// Share of all 2^n equally likely patterns "sample i lies below the true median" in which it lies between X(k) and
// X(n+1-k).
double coverage_by_counting(int n, int k) {
  int hits = 0;
  for (unsigned pattern = 0; pattern < (1u << n); ++pattern) {
    const int below = __builtin_popcount(pattern);
    if (below >= k && below <= n - k) ++hits;
  }
  return static_cast<double>(hits) / static_cast<double>(1u << n);
}

TEST(statistics, median_of_odd_even_and_one) {
  EXPECT_EQ(median(std::vector<double>{7}), 7);
  EXPECT_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(median(std::vector<double>{4, 1, 3, 2}), 2.5);
}

TEST(statistics, nothing_in_nan_out) {
  const std::vector<double> none, first{nan, 1, 3, 5}, middle{1, nan, 3, 5}, last{1, 3, 5, nan};
  for (const auto& x : {none, first, middle, last}) {
    EXPECT_TRUE(std::isnan(median(x)));
    EXPECT_TRUE(std::isnan(mean(x)));
    EXPECT_TRUE(std::isnan(quantile(x, 0.9)));
    EXPECT_TRUE(std::isnan(median_absolute_deviation(x)));
    EXPECT_TRUE(std::isnan(median_ci(x).value));
    EXPECT_TRUE(std::isnan(median_ci(x).low));
  }
}

TEST(statistics, quantile_is_numpys_default) {
  // numpy.quantile([15, 20, 35, 40, 50], [0, 0.05, 0.3, 0.4, 1])
  const std::vector<double> x{40, 15, 50, 20, 35};
  const std::vector<double> q{0, 0.05, 0.3, 0.4, 1}, expected{15, 16, 23, 29, 50};
  for (std::size_t i = 0; i < q.size(); ++i) EXPECT_DOUBLE_EQ(quantile(x, q[i]), expected[i]) << q[i];
}

TEST(statistics, mean_and_median_absolute_deviation) {
  const std::vector<double> x{1, 1, 2, 2, 4, 6, 9};
  EXPECT_DOUBLE_EQ(mean(x), 25.0 / 7);
  EXPECT_EQ(median_absolute_deviation(x), 1);  // |x - 2| = 1 1 0 0 2 4 7
}

TEST(statistics, interval_covers_as_promised_and_no_narrower_one_does) {
  for (int n = 1; n <= 18; ++n) {
    for (const double level : {0.5, 0.9, 0.95, 0.99}) {
      const int k = static_cast<int>(median_ci_rank(n, level));
      if (k > 0) {
        EXPECT_GE(coverage_by_counting(n, k), level) << n;
      }
      if (2 * (k + 1) <= n + 1) {
        EXPECT_LT(coverage_by_counting(n, k + 1), level) << n;
      }
    }
  }
}

TEST(statistics, interval_ranks_match_the_published_table) {
  // Conover, Practical Nonparametric Statistics, 1999, table A3 with p = 1/2, 95 %.
  EXPECT_EQ(median_ci_rank(5, 0.95), 0);
  EXPECT_EQ(median_ci_rank(6, 0.95), 1);
  EXPECT_EQ(median_ci_rank(9, 0.95), 2);
  EXPECT_EQ(median_ci_rank(20, 0.95), 6);
  EXPECT_EQ(median_ci_rank(30, 0.95), 10);
  EXPECT_EQ(median_ci_rank(100, 0.95), 40);
}

TEST(statistics, interval_of_many_samples_follows_the_normal_approximation) {
  for (const index_t n : {index_t{10'000}, index_t{1'000'000}}) {
    const double expected = 0.5 * static_cast<double>(n) - 0.98 * std::sqrt(static_cast<double>(n));
    EXPECT_NEAR(static_cast<double>(median_ci_rank(n, 0.95)), expected, 2.0);
  }
}

TEST(statistics, interval_is_made_of_samples) {
  const Interval six = median_ci(shuffled(6));
  EXPECT_EQ(six.value, 3.5);
  EXPECT_EQ(six.low, 1);
  EXPECT_EQ(six.high, 6);
  EXPECT_EQ(six.n, 6);
  const Interval thirty = median_ci(shuffled(30));
  EXPECT_EQ(thirty.low, 10);
  EXPECT_EQ(thirty.high, 21);
}

TEST(statistics, no_interval_below_six_samples) {
  for (index_t n = 1; n < 6; ++n) {
    const Interval interval = median_ci(shuffled(n));
    EXPECT_FALSE(std::isnan(interval.value));
    EXPECT_TRUE(std::isnan(interval.low));
    EXPECT_TRUE(std::isnan(interval.high));
  }
}

}  // namespace
}  // namespace partita::metrics::statistics_tests
