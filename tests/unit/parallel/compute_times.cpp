// SPDX-License-Identifier: BSD-3-Clause
// Laws of compute times against their distribution functions and moments. Seeds are fixed; a bound is five standard
// errors of what is estimated, of the Kolmogorov-Smirnov distance the quantile 0.999 (Kolmogorov 1933).
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/server/virtual/compute_times.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::parallel::server::compute_times_tests {
namespace {

using partita::testing::caught;
using partita::testing::TemporaryFolder;

constexpr int draws = 50000;
constexpr double errors = 5;
constexpr std::uint64_t seed = 3;

struct Law {
  const char* name;
  ComputeTimeOptions options;
  std::function<double(double)> below;  // distribution function
  double variance;
};

// mean 3; what is left of it beyond a shift of 1 is 2.
std::vector<Law> laws() {
  const double deviation = 0.7, exponent = 3.5, least = 3 * (exponent - 1) / exponent;
  return {{"exponential",
           {.kind = ComputeTime::exponential, .mean_s = 3},
           [](double t) { return 1 - std::exp(-t / 3); },
           9},
          {"shifted exponential",
           {.kind = ComputeTime::shifted_exponential, .mean_s = 3, .shift_s = 1},
           [](double t) { return t < 1 ? 0 : 1 - std::exp(-(t - 1) / 2); },
           4},
          {"lognormal",
           {.kind = ComputeTime::lognormal, .mean_s = 3, .shape = deviation},
           [=](double t) {
             const double location = std::log(3) - deviation * deviation / 2;
             return 0.5 * std::erfc(-(std::log(t) - location) / (deviation * std::sqrt(2)));
           },
           9 * std::expm1(deviation * deviation)},
          {"Pareto",
           {.kind = ComputeTime::pareto, .mean_s = 3, .shape = exponent},
           [=](double t) { return t < least ? 0 : 1 - std::pow(least / t, exponent); },
           exponent * least * least / ((exponent - 1) * (exponent - 1) * (exponent - 2))},
          {"uniform",
           {.kind = ComputeTime::uniform, .mean_s = 3, .shift_s = 1},
           [](double t) { return std::clamp((t - 1) / 4, 0.0, 1.0); },
           16.0 / 12}};
}

std::vector<double> drawn(const ComputeTimeOptions& options, int worker) {
  const ComputeTimes times(options, seed);
  std::vector<double> all;
  for (index_t n = 0; n < draws; ++n) all.push_back(times.draw(worker, n));
  return all;
}

double mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

// Of pairs (x[i], y[i + lag]).
double correlation(const std::vector<double>& x, const std::vector<double>& y, std::size_t lag = 0) {
  const double x_mean = mean(x), y_mean = mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i + lag < x.size(); ++i) {
    xy += (x[i] - x_mean) * (y[i + lag] - y_mean);
    xx += (x[i] - x_mean) * (x[i] - x_mean);
    yy += (y[i + lag] - y_mean) * (y[i + lag] - y_mean);
  }
  return xy / std::sqrt(xx * yy);
}

TEST(compute_times, follow_their_distribution_functions) {
  for (const Law& law : laws())
    for (const int worker : {0, 4095}) {
      std::vector<double> all = drawn(law.options, worker);
      std::sort(all.begin(), all.end());
      double distance = 0;
      for (int i = 0; i < draws; ++i) {
        const double F = law.below(all[static_cast<std::size_t>(i)]);
        distance = std::max({distance, F - static_cast<double>(i) / draws, static_cast<double>(i + 1) / draws - F});
      }
      EXPECT_LT(distance * std::sqrt(draws), 1.95) << law.name << " of worker " << worker;
    }
}

TEST(compute_times, the_mean_is_that_of_the_whole_law) {
  for (const Law& law : laws())
    EXPECT_NEAR(mean(drawn(law.options, 1)), 3, errors * std::sqrt(law.variance / draws)) << law.name;
  EXPECT_EQ(ComputeTimes({.kind = ComputeTime::constant, .mean_s = 3}, seed).draw(5, 17), 3);
}

// P(X > q) = p where q = F^-1(1 - p): the count beyond it is binomial. Tails are what synchronous protocols wait for.
TEST(compute_times, tails_are_as_heavy_as_the_law_says) {
  for (const Law& law : laws()) {
    const std::vector<double> all = drawn(law.options, 2);
    for (const double p : {0.05, 0.005}) {
      double low = 0, high = 1000;
      for (int i = 0; i < 100; ++i) (1 - law.below((low + high) / 2) > p ? low : high) = (low + high) / 2;
      const auto beyond = std::count_if(all.begin(), all.end(), [high](double t) { return t > high; });
      EXPECT_NEAR(static_cast<double>(beyond), p * draws, errors * std::sqrt(draws * p * (1 - p))) << law.name << p;
    }
  }
}

TEST(compute_times, are_functions_of_seed_worker_and_number) {
  for (const Law& law : laws()) {
    const ComputeTimes one(law.options, seed), same(law.options, seed), other(law.options, seed + 1);
    const double late = one.draw(7, 1000);
    EXPECT_EQ(same.draw(7, 1000), late) << law.name;
    for (index_t n = 0; n < 1000; ++n) same.draw(7, n);
    EXPECT_EQ(same.draw(7, 1000), late) << law.name << ": whatever was drawn before";
    EXPECT_NE(other.draw(7, 1000), late) << law.name;
    EXPECT_NE(one.draw(8, 1000), late) << law.name;
    EXPECT_NE(one.draw(7, 1001), late) << law.name;
  }
}

TEST(compute_times, of_workers_and_of_numbers_do_not_depend_on_each_other) {
  for (const Law& law : laws()) {
    if (law.options.kind == ComputeTime::pareto) continue;  // no fourth moment: the error has no normal law
    const auto first = drawn(law.options, 0), second = drawn(law.options, 1);
    const double bound = errors / std::sqrt(draws);
    EXPECT_NEAR(correlation(first, second), 0, bound) << law.name;
    EXPECT_NEAR(correlation(first, second, 1), 0, bound) << law.name;
    EXPECT_NEAR(correlation(first, first, 1), 0, bound) << law.name;
  }
}

// The K-th of P shifted exponential times is on average shift + (H_P - H_{P-K}) / mu, with variance
// (1 / mu^2) sum_{i = P-K+1}^{P} 1 / i^2 (Renyi 1953): no single worker's times can give that.
TEST(compute_times, the_kth_worker_of_many_comes_when_order_statistics_say) {
  constexpr int P = 32, rounds = 4000;
  const ComputeTimes times({.kind = ComputeTime::shifted_exponential, .mean_s = 1.5, .shift_s = 1}, seed);
  for (const int K : {1, 16, 31, 32}) {
    double sum = 0, expected = 1, variance = 0;
    for (int i = P - K + 1; i <= P; ++i) {
      expected += 0.5 / i;
      variance += 0.25 / (i * i);
    }
    for (int n = 0; n < rounds; ++n) {
      std::vector<double> round;
      for (int worker = 0; worker < P; ++worker) round.push_back(times.draw(worker, n));
      std::nth_element(round.begin(), round.begin() + K - 1, round.end());
      sum += round[static_cast<std::size_t>(K) - 1];
    }
    EXPECT_NEAR(sum / rounds, expected, errors * std::sqrt(variance / rounds)) << K;
  }
}

TEST(compute_times, a_trace_is_walked_round_from_a_place_of_each_worker) {
  const std::vector<double> trace = {1, 2, 4, 8, 16};
  const auto next = [&](double time) { return time == 16 ? 1 : 2 * time; };
  for (const ComputeTime kind : {ComputeTime::trace, ComputeTime::calibrated}) {
    const ComputeTimes times({.kind = kind, .trace = trace}, seed);
    constexpr int workers = 4000;
    std::vector<int> begins(trace.size());
    for (int worker = 0; worker < workers; ++worker) {
      const double first = times.draw(worker, 0);
      ++begins[static_cast<std::size_t>(std::find(trace.begin(), trace.end(), first) - trace.begin())];
      for (index_t n = 1; n < 11; ++n) ASSERT_EQ(times.draw(worker, n), next(times.draw(worker, n - 1)));
    }
    for (const int count : begins) EXPECT_NEAR(count, workers / 5.0, errors * std::sqrt(workers * 0.2 * 0.8));
  }
}

TEST(compute_times, a_trace_is_scaled_to_the_mean_when_asked) {
  const ComputeTimes times({.kind = ComputeTime::trace, .mean_s = 10, .trace = {1, 2, 6}, .scale_trace = true}, seed);
  double sum = 0;
  for (index_t n = 0; n < 3; ++n) sum += times.draw(0, n);
  EXPECT_DOUBLE_EQ(sum, 30);
  std::set<double> seen;
  for (index_t n = 0; n < 3; ++n) seen.insert(std::round(1e6 * times.draw(1, n)));
  EXPECT_EQ(seen, (std::set<double>{3333333, 6666667, 20000000}));
}

TEST(compute_times, what_a_law_cannot_have_is_refused) {
  const auto refused = [](ComputeTimeOptions options) {
    return caught<UsageError>([&] { ComputeTimes(options, seed); });
  };
  using enum ComputeTime;
  EXPECT_EQ(refused({.kind = constant, .mean_s = 0}), "ComputeTimes: mean = 0: expected above 0 s");
  EXPECT_EQ(refused({.mean_s = std::numeric_limits<double>::infinity()}),
            "ComputeTimes: mean = inf: expected above 0 s");
  EXPECT_EQ(refused({.mean_s = std::nan("")}), "ComputeTimes: mean = nan: expected above 0 s");
  for (const ComputeTime kind : {shifted_exponential, uniform}) {
    EXPECT_EQ(refused({.kind = kind, .mean_s = 1, .shift_s = 1.5}),
              "ComputeTimes: shift = 1.5: expected 0 to the mean, of which it is a part");
    EXPECT_EQ(refused({.kind = kind, .mean_s = 1, .shift_s = 1}), "nothing was thrown");
  }
  EXPECT_EQ(refused({.kind = uniform, .shift_s = -0.5}),
            "ComputeTimes: shift = -0.5: expected 0 to the mean, of which it is a part");
  EXPECT_EQ(refused({.kind = pareto, .shape = 1}), "ComputeTimes: shape = 1: expected above 1: else there is no mean");
  for (const ComputeTime kind : {lognormal, pareto})
    EXPECT_NE(refused({.kind = kind, .shape = std::numeric_limits<double>::infinity()}), "nothing was thrown");
  EXPECT_EQ(refused({.kind = lognormal, .shape = -1}), "ComputeTimes: shape = -1: expected at least 0");
  EXPECT_EQ(refused({.kind = trace}), "ComputeTimes: a list without a time: expected at least one");
  EXPECT_EQ(refused({.kind = calibrated, .trace = {1, 0}}), "ComputeTimes: time = 0: expected above 0 s");
}

TEST(compute_times, of_a_file_are_read_and_what_is_none_is_named) {
  const TemporaryFolder folder;
  const std::string path = folder / "times.txt";
  const auto read = [&](const char* text) {
    std::ofstream(path) << text;
    return read_trace(path);
  };
  EXPECT_EQ(read("# measured\n1.5\n\n  2e-3  # the second\r\n3"), (std::vector<double>{1.5, 2e-3, 3}));
  const auto refused = [&](const char* text) { return caught<UsageError>([&] { read(text); }); };
  const std::string allowed = ": expected a time above 0, in seconds; # begins a comment";
  EXPECT_EQ(refused("1\n# two\n2 s\n"), path + ":3: \"2 s\"" + allowed);
  EXPECT_EQ(refused("0\n"), path + ":1: \"0\"" + allowed);
  EXPECT_EQ(refused("1\n-2\n"), path + ":2: \"-2\"" + allowed);
  EXPECT_EQ(refused("inf\n"), path + ":1: \"inf\"" + allowed);
  EXPECT_EQ(refused("nan\n"), path + ":1: \"nan\"" + allowed);
  EXPECT_EQ(refused("\x1b[31m\n"), path + ":1: \"?[31m\"" + allowed);
  EXPECT_LT(refused(std::string(3000, 'x').c_str()).size(), 400u);
  EXPECT_EQ(refused("# none\n"), path + ": it has no time: expected times in seconds, one a line");
  const std::string missing = folder / "missing.txt";
  EXPECT_EQ(
      caught<UsageError>([&] { read_trace(missing); }),
      missing + ": it cannot be read: No such file or directory: expected a file of times in seconds, one a line");
  EXPECT_NE(caught<UsageError>([] { read_trace("/dev/zero"); }).find("/dev/zero: it goes on after"), std::string::npos);
}

TEST(compute_times, a_trace_without_a_mean_is_not_scaled) {
  const auto refused = [](std::vector<double> times) {
    return caught<UsageError>(
        [&] { ComputeTimes({.kind = ComputeTime::trace, .trace = std::move(times), .scale_trace = true}, 1); });
  };
  const double largest = std::numeric_limits<double>::max(), least = std::numeric_limits<double>::denorm_min();
  for (const auto& times : {std::vector{largest, largest}, std::vector{least, largest}, std::vector{least, least}})
    EXPECT_NE(refused(times).find("expected a list with a mean to be scaled to"), std::string::npos) << times[0];
}

}  // namespace
}  // namespace partita::parallel::server::compute_times_tests
