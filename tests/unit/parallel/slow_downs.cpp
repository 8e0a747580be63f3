// SPDX-License-Identifier: BSD-3-Clause
// Factors of times against what their description promises: shares, lengths of bursts, range and period of a drift.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/server/virtual/slow_downs.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::slow_downs_tests {
namespace {

using testing::caught;

constexpr index_t n = 40000;

std::vector<double> factors(const SlowDownOptions& options, int worker, std::uint64_t seed = 3, index_t count = n) {
  SlowDowns slow(options, seed, worker + 1);
  std::vector<double> all;
  for (index_t i = 0; i < count; ++i) all.push_back(slow.factor(worker, i, 0));
  return all;
}

double share_of(const std::vector<double>& values, double value) {
  return static_cast<double>(std::count(values.begin(), values.end(), value)) / static_cast<double>(values.size());
}

TEST(slow_downs, at_random_have_their_share) {
  for (const double p : {1.0 / 32, 0.5, 0.9})
    for (const int worker : {0, 7}) {
      const std::vector<double> all = factors({.factor = 4, .probability = p}, worker);
      const double share = share_of(all, 4);
      EXPECT_NEAR(share, p, 5 * std::sqrt(p * (1 - p) / n));
      EXPECT_DOUBLE_EQ(share + share_of(all, 1), 1) << "nothing between";
      // Neighbours are independent: both are slow with probability p^2.
      index_t both = 0;
      for (std::size_t i = 1; i < all.size(); ++i) both += all[i] == 4 && all[i - 1] == 4 ? 1 : 0;
      EXPECT_NEAR(static_cast<double>(both) / n, p * p, 5 * std::sqrt(3 * p * p * (1 - p * p) / n));
    }
  EXPECT_EQ(share_of(factors({.factor = 4}, 0), 4), 1) << "slow for good";
  EXPECT_EQ(share_of(factors({.factor = 4, .probability = 0}, 0), 1), 1);
}

TEST(slow_downs, are_of_the_first_workers) {
  SlowDowns some({.factor = 4, .workers = 2}, 3, 4);
  for (int worker = 0; worker < 4; ++worker) EXPECT_EQ(some.factor(worker, 0, 0), worker < 2 ? 4 : 1);
  SlowDowns all({.factor = 4}, 3, 4);
  for (int worker = 0; worker < 4; ++worker) EXPECT_EQ(all.factor(worker, 0, 0), 4);
}

TEST(slow_downs, are_the_same_for_the_same_seed_and_differ_between_workers) {
  for (const SlowKind kind : {SlowKind::random, SlowKind::bursty}) {
    const SlowDownOptions options{.kind = kind, .factor = 4, .probability = 0.3};
    EXPECT_EQ(factors(options, 2), factors(options, 2));
    EXPECT_NE(factors(options, 2), factors(options, 2, 4));
    const std::vector<double> a = factors(options, 2), b = factors(options, 3);
    index_t both = 0;
    for (std::size_t i = 0; i < a.size(); ++i) both += a[i] == 4 && b[i] == 4 ? 1 : 0;
    // Two chains that forget in about 10 gradients: 20 times the variance of independent ones is more than enough.
    EXPECT_NEAR(static_cast<double>(both) / n, 0.09, 5 * std::sqrt(20 * 0.09 * 0.91 / n)) << name_of(slow_kinds, kind);
  }
}

TEST(slow_downs, in_bursts_have_their_share_and_their_length) {
  for (const double p : {0.1, 0.4})
    for (const double burst : {1.0, 5.0, 20.0}) {
      const std::vector<double> all =
          factors({.kind = SlowKind::bursty, .factor = 3, .probability = p, .burst = burst}, 1);
      // A cycle is a burst and the pause after it, burst / p gradients; a share of c cycles is known to about
      // p sqrt(2 / c).
      const double cycles = n * p / burst;
      EXPECT_NEAR(share_of(all, 3), p, 5 * p * std::sqrt(2 / cycles)) << p << ", " << burst;
      index_t bursts = 0, slow = 0;
      for (std::size_t i = 0; i < all.size(); ++i) {
        slow += all[i] == 3 ? 1 : 0;
        bursts += all[i] == 3 && (i == 0 || all[i - 1] == 1) ? 1 : 0;
      }
      // Geometric lengths: a deviation of sqrt(burst (burst - 1)) each.
      EXPECT_NEAR(static_cast<double>(slow) / static_cast<double>(bursts), burst,
                  5 * std::sqrt(burst * (burst - 1) / static_cast<double>(bursts)) + 1e-12)
          << p << ", " << burst;
    }
  EXPECT_EQ(share_of(factors({.kind = SlowKind::bursty, .factor = 3}, 0), 3), 1) << "probability 1";
  EXPECT_EQ(share_of(factors({.kind = SlowKind::bursty, .factor = 3, .probability = 0}, 0), 1), 1);
}

TEST(slow_downs, in_bursts_begin_as_they_go_on) {
  constexpr int workers = 4000;
  SlowDowns slow({.kind = SlowKind::bursty, .factor = 3, .probability = 0.2}, 3, workers);
  int at_once = 0;
  for (int worker = 0; worker < workers; ++worker) at_once += slow.factor(worker, 0, 0) == 3 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(at_once) / workers, 0.2, 5 * std::sqrt(0.2 * 0.8 / workers));
  // Gradients that nobody asks about are a part of the chain.
  const SlowDownOptions options{.kind = SlowKind::bursty, .factor = 3, .probability = 0.2};
  const std::vector<double> all = factors(options, 1, 3, 100);
  SlowDowns later(options, 3, 2);
  for (const index_t i : {3, 50, 99}) EXPECT_EQ(later.factor(1, i, 0), all[static_cast<std::size_t>(i)]);
}

TEST(slow_downs, drift_from_one_to_the_factor_and_back) {
  constexpr int steps = 1000;
  SlowDowns slow({.kind = SlowKind::drifting, .factor = 3, .period_s = 8}, 3, 2);
  std::vector<double> one, other;
  for (int i = 0; i < steps; ++i) {
    one.push_back(slow.factor(0, i, 8.0 * i / steps));
    other.push_back(slow.factor(1, i, 8.0 * i / steps));
    EXPECT_NEAR(slow.factor(0, i, 8.0 * i / steps + 8), one.back(), 1e-9) << "a period later";
    EXPECT_NEAR(slow.factor(0, i, 8.0 * i / steps + 4) + one.back(), 4, 1e-9) << "half a period later";
  }
  // A cosine on a grid of 1000 misses its ends by less than (pi / 1000)^2 / 2 of its amplitude.
  EXPECT_NEAR(*std::min_element(one.begin(), one.end()), 1, 1e-5);
  EXPECT_NEAR(*std::max_element(one.begin(), one.end()), 3, 1e-5);
  EXPECT_NEAR(std::accumulate(one.begin(), one.end(), 0.0) / steps, 2, 1e-9);
  const auto top = [](const std::vector<double>& wave) {
    return std::max_element(wave.begin(), wave.end()) - wave.begin();
  };
  EXPECT_NE(top(one), top(other)) << "phases of their own";
}

TEST(slow_downs, that_cannot_be_are_refused) {
  const auto refused = [](const SlowDownOptions& options) {
    return caught<UsageError>([&] { SlowDowns(options, 1, 2); });
  };
  EXPECT_EQ(refused({.factor = 0.5}), "SlowDowns: factor = 0.5: expected at least 1");
  EXPECT_EQ(refused({.probability = 1.5}), "SlowDowns: probability = 1.5: expected 0 to 1");
  EXPECT_EQ(refused({.probability = std::nan("")}), "SlowDowns: probability = nan: expected 0 to 1");
  EXPECT_EQ(refused({.kind = SlowKind::drifting}), "SlowDowns: period = 0: expected above 0 s");
  EXPECT_EQ(refused({.kind = SlowKind::bursty, .burst = 0.5}), "SlowDowns: burst = 0.5: expected at least 1 gradient");
  EXPECT_EQ(refused({.kind = SlowKind::bursty, .probability = 0.8, .burst = 2}),
            "SlowDowns: burst = 2: expected longer bursts, so that their share can be so large");
  EXPECT_EQ(refused({.kind = SlowKind::bursty, .probability = 0.8, .burst = 5}), "nothing was thrown");
}

}  // namespace
}  // namespace partita::parallel::server::slow_downs_tests
