// SPDX-License-Identifier: BSD-3-Clause
// Shares and lengths against their laws; a bound is five standard errors of what is estimated.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/server/virtual/slow_downs.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::slow_downs_tests {
namespace {

using partita::testing::caught;

constexpr double errors = 5;
constexpr int draws = 100000;
constexpr std::uint64_t seed = 5;

// Whether each gradient of worker 0 is slow: factor 4 or 1, and nothing else.
std::vector<bool> slow(const SlowDownOptions& options) {
  SlowDowns downs(options, seed, 1);
  std::vector<bool> all;
  for (index_t n = 0; n < draws; ++n) {
    const double factor = downs.factor(0, n, 0);
    EXPECT_TRUE(factor == 4 || factor == 1) << factor;
    all.push_back(factor == 4);
  }
  return all;
}

double share(const std::vector<bool>& all) {
  return static_cast<double>(std::count(all.begin(), all.end(), true)) / static_cast<double>(all.size());
}

// Of slow gradients, those that follow a slow one.
double slow_again(const std::vector<bool>& all) {
  double again = 0, of = 0;
  for (std::size_t n = 1; n < all.size(); ++n) {
    of += all[n - 1] ? 1 : 0;
    again += all[n - 1] && all[n] ? 1 : 0;
  }
  return again / of;
}

TEST(slow_downs, by_chance_have_their_share_and_no_memory) {
  for (const double p : {1.0 / 32, 0.5}) {
    const auto all = slow({.factor = 4, .probability = p});
    EXPECT_NEAR(share(all), p, errors * std::sqrt(p * (1 - p) / draws));
    EXPECT_NEAR(slow_again(all), p, errors * std::sqrt(p * (1 - p) / (p * draws)));
  }
}

TEST(slow_downs, of_the_first_workers_leave_the_others_alone) {
  SlowDowns all({.factor = 4}, seed, 6), two({.factor = 4, .workers = 2}, seed, 6);
  for (int worker = 0; worker < 6; ++worker)
    for (index_t n = 0; n < 50; ++n) {
      EXPECT_EQ(all.factor(worker, n, 0), 4) << "probability 1: for good";
      EXPECT_EQ(two.factor(worker, n, 0), worker < 2 ? 4 : 1);
    }
}

TEST(slow_downs, that_nobody_has_are_none) {
  for (const SlowKind kind : {SlowKind::random, SlowKind::drifting, SlowKind::bursty}) {
    SlowDowns none({.kind = kind, .period_s = 1}, seed, 1);
    for (index_t n = 0; n < 100; ++n) EXPECT_EQ(none.factor(0, n, 0.37 * static_cast<double>(n)), 1);
  }
  SlowDowns never({.kind = SlowKind::bursty, .factor = 4, .probability = 0}, seed, 1);
  for (index_t n = 0; n < 1000; ++n) EXPECT_EQ(never.factor(0, n, 0), 1);
}

TEST(slow_downs, of_workers_differ_and_of_seeds_too) {
  for (const SlowKind kind : {SlowKind::random, SlowKind::bursty}) {
    const SlowDownOptions options{.kind = kind, .factor = 4, .probability = 0.5, .burst = 3};
    SlowDowns one(options, seed, 2), same(options, seed, 2), other(options, seed + 1, 2);
    int workers = 0, seeds = 0;
    constexpr int n_of = 10000;
    for (index_t n = 0; n < n_of; ++n) {
      const double factor = one.factor(0, n, 0);
      ASSERT_EQ(same.factor(0, n, 0), factor);
      workers += one.factor(1, n, 0) == factor ? 1 : 0;
      seeds += other.factor(0, n, 0) == factor ? 1 : 0;
    }
    // Two fair chains agree half of the time. They remember: eigenvalue 1 - 2 / 3 each, its square in the agreement.
    const double memory = kind == SlowKind::bursty ? (1 + 1.0 / 9) / (1 - 1.0 / 9) : 1;
    EXPECT_NEAR(workers, n_of / 2, errors * std::sqrt(memory * n_of / 4));
    EXPECT_NEAR(seeds, n_of / 2, errors * std::sqrt(memory * n_of / 4));
  }
}

TEST(slow_downs, in_bursts_have_their_share_and_their_length) {
  const double p = 0.2, burst = 4, begins = p / (burst * (1 - p));
  const auto all = slow({.kind = SlowKind::bursty, .factor = 4, .probability = p, .burst = burst});
  // A chain of two states with second eigenvalue r: the variance of a share is p (1 - p) (1 + r) / (1 - r) / draws.
  const double r = 1 - 1 / burst - begins;
  EXPECT_NEAR(share(all), p, errors * std::sqrt(p * (1 - p) * (1 + r) / (1 - r) / draws));
  // A burst goes on with probability 1 - 1 / burst after each of its gradients, so that its mean length is burst.
  EXPECT_NEAR(slow_again(all), 1 - 1 / burst, errors * std::sqrt(1 / burst * (1 - 1 / burst) / (p * draws)));
  // Lengths are geometric: those of at least `burst` are a share (1 - 1 / burst)^(burst - 1).
  double bursts = 0, long_ones = 0;
  for (std::size_t n = 0, length = 0; n < all.size(); ++n) {
    length = all[n] ? length + 1 : 0;
    bursts += length == 1 ? 1 : 0;
    long_ones += length == static_cast<std::size_t>(burst) ? 1 : 0;
  }
  const double expected = std::pow(1 - 1 / burst, burst - 1);
  EXPECT_NEAR(long_ones / bursts, expected, errors * std::sqrt(expected * (1 - expected) / bursts));
}

TEST(slow_downs, in_bursts_begin_as_they_go_on) {
  constexpr int workers = 4096;
  const double p = 0.2;
  SlowDowns downs({.kind = SlowKind::bursty, .factor = 4, .probability = p, .burst = 50}, seed, workers);
  for (const index_t n : {0, 1, 5}) {
    int count = 0;
    for (int worker = 0; worker < workers; ++worker) count += downs.factor(worker, n, 0) == 4 ? 1 : 0;
    EXPECT_NEAR(count, p * workers, errors * std::sqrt(workers * p * (1 - p))) << n;
  }
}

TEST(slow_downs, in_bursts_do_not_depend_on_which_gradients_were_asked_for) {
  const SlowDownOptions options{.kind = SlowKind::bursty, .factor = 4, .probability = 0.3, .burst = 4};
  SlowDowns each(options, seed, 1), some(options, seed, 1);
  for (index_t n = 0; n < 3000; ++n) {
    const double factor = each.factor(0, n, 0);
    if (n % 7 == 3) {
      EXPECT_EQ(some.factor(0, n, 0), factor) << n;
      EXPECT_EQ(some.factor(0, n, 0), factor) << n << " again";
    }
  }
}

TEST(slow_downs, that_drift_swing_between_one_and_the_factor) {
  constexpr int workers = 400, points = 1000;
  constexpr double period = 8, factor = 5;
  SlowDowns downs({.kind = SlowKind::drifting, .factor = factor, .period_s = period}, seed, workers);
  int early = 0;
  for (int worker = 0; worker < workers; ++worker) {
    double least = factor, most = 1, sum = 0;
    int slowest = 0;
    for (int i = 0; i < points; ++i) {
      const double f = downs.factor(worker, i, period * i / points);
      if (f > most) slowest = i;
      least = std::min(least, f);
      most = std::max(most, f);
      sum += f;
    }
    // A cosine at points 2 pi / 1000 apart misses its ends by at most (1 - cos(pi / 1000)) of its half height.
    const double missed = 1e-5 * factor;
    ASSERT_NEAR(least, 1, missed);
    ASSERT_NEAR(most, factor, missed);
    ASSERT_NEAR(sum / points, (1 + factor) / 2, 1e-12 * points);
    ASSERT_NEAR(downs.factor(worker, 0, 1.7 + 3 * period), downs.factor(worker, 9, 1.7), 1e-12);
    early += slowest < points / 4 ? 1 : 0;
  }
  EXPECT_NEAR(early, workers / 4, errors * std::sqrt(workers * 0.25 * 0.75)) << "phases are anywhere";
}

TEST(slow_downs, that_cannot_be_are_refused) {
  const auto refused = [](const SlowDownOptions& options) {
    return caught<UsageError>([&] { SlowDowns(options, seed, 1); });
  };
  using enum SlowKind;
  constexpr double endless = std::numeric_limits<double>::infinity();
  EXPECT_EQ(refused({.factor = 0.5}), "SlowDowns: factor = 0.5: expected at least 1");
  EXPECT_EQ(refused({.factor = std::nan("")}), "SlowDowns: factor = nan: expected at least 1");
  EXPECT_EQ(refused({.factor = endless}), "SlowDowns: factor = inf: expected at least 1");
  EXPECT_EQ(refused({.workers = -1}), "SlowDowns: workers = -1: expected at least 0");
  EXPECT_EQ(refused({.probability = 1.5}), "SlowDowns: probability = 1.5: expected 0 to 1");
  EXPECT_EQ(refused({.probability = -0.5}), "SlowDowns: probability = -0.5: expected 0 to 1");
  EXPECT_EQ(refused({.kind = drifting, .factor = 2}), "SlowDowns: period = 0: expected above 0 s");
  EXPECT_EQ(refused({.kind = bursty, .factor = 2, .burst = 0.5}),
            "SlowDowns: burst = 0.5: expected at least 1 gradient");
  EXPECT_EQ(refused({.kind = bursty, .burst = endless}), "SlowDowns: burst = inf: expected at least 1 gradient");
  EXPECT_EQ(refused({.kind = drifting, .period_s = endless}), "SlowDowns: period = inf: expected above 0 s");
  // Slow 0.9 of the time: bursts of 9 with single gradients between them are the shortest.
  EXPECT_EQ(refused({.kind = bursty, .factor = 2, .probability = 0.9, .burst = 8}),
            "SlowDowns: burst = 8: expected longer bursts, so that their share can be so large");
  EXPECT_EQ(refused({.kind = bursty, .factor = 2, .probability = 0.9, .burst = 9}), "nothing was thrown");
  EXPECT_EQ(shortest_burst(0), 1);
  EXPECT_EQ(shortest_burst(1), 1);
}

}  // namespace
}  // namespace partita::parallel::server::slow_downs_tests
