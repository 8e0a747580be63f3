// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <partita/data/dirichlet.hpp>

namespace partita::data::dirichlet_tests {
namespace {

constexpr double five_sigma = 5;
constexpr int n = 20000;

TEST(dirichlet, gamma_draws_have_mean_and_variance_of_their_shape) {
  for (const double a : {0.3, 1.0, 4.5}) {
    Draws draws(7, Stream::test);
    double mean = 0, square = 0;
    for (int i = 0; i < n; ++i) {
      const double g = std::exp(log_gamma_draw(draws, a));
      mean += g / n;
      square += (g - a) * (g - a) / n;
    }
    EXPECT_NEAR(mean, a, five_sigma * std::sqrt(a / n));
    // The fourth central moment is 3 a^2 + 6 a, so that squares have variance 2 a^2 + 6 a.
    EXPECT_NEAR(square, a, five_sigma * std::sqrt((2 * a * a + 6 * a) / n)) << a;
  }
}

TEST(dirichlet, a_small_shape_is_no_zero_for_all) {  // g underflows for most draws
  const double a[] = {1e-5, 1e-5, 0, 2e-5};
  for (std::uint64_t w = 0; w < 200; ++w) {
    Draws draws(3, substream(Stream::test, w));
    const std::vector<double> log_q = log_dirichlet_draw(draws, a);
    EXPECT_EQ(*std::max_element(log_q.begin(), log_q.end()), 0);
    EXPECT_EQ(log_q[2], -HUGE_VAL);
    for (const std::size_t k : {0, 1, 3}) EXPECT_TRUE(std::isfinite(log_q[k])) << k;
  }
}

TEST(dirichlet, proportions_have_the_mean_and_variance_of_the_closed_form) {
  for (const double alpha : {0.2, 1.0, 20.0}) {
    const std::vector<double> a{0.1 * alpha, 0.2 * alpha, 0.7 * alpha};
    std::vector<double> mean(a.size()), square(a.size());
    const double A = std::accumulate(a.begin(), a.end(), 0.0);
    for (std::uint64_t w = 0; w < n; ++w) {
      Draws draws(11, substream(Stream::label_skew, w));
      const std::vector<double> log_q = log_dirichlet_draw(draws, a);
      double sum = 0;
      for (const double each : log_q) sum += std::exp(each);
      for (std::size_t k = 0; k < a.size(); ++k) {
        const double q = std::exp(log_q[k]) / sum;
        mean[k] += q / n;
        square[k] += (q - a[k] / A) * (q - a[k] / A) / n;
      }
    }
    for (std::size_t k = 0; k < a.size(); ++k) {
      const double m = a[k] / A, variance = a[k] * (A - a[k]) / (A * A * (A + 1));
      const double farthest = std::max(m, 1 - m);  // E(q - m)^4 <= variance * farthest^2
      EXPECT_NEAR(mean[k], m, five_sigma * std::sqrt(variance / n)) << alpha << ", " << k;
      EXPECT_NEAR(square[k], variance, five_sigma * farthest * std::sqrt(variance / n)) << alpha << ", " << k;
    }
  }
}

}  // namespace
}  // namespace partita::data::dirichlet_tests
