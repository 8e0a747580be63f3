// SPDX-License-Identifier: BSD-3-Clause
// Times against their laws: distribution functions by Kolmogorov and Smirnov, means by what their deviation allows.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/server/virtual/compute_times.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::parallel::server::compute_times_tests {
namespace {

using testing::caught;

constexpr index_t n = 20000;

std::vector<double> draws(const ComputeTimes& times, int worker, index_t count = n) {
  std::vector<double> all;
  for (index_t i = 0; i < count; ++i) all.push_back(times.draw(worker, i));
  return all;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The largest distance of the values' own distribution function from F, times the root of their number: above 2.23 with
// probability 1e-4 if F is theirs.
double kolmogorov_smirnov(std::vector<double> values, const std::function<double(double)>& F) {
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  double most = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double at = F(values[i]), below = static_cast<double>(i) / count;
    most = std::max({most, at - below, below + 1 / count - at});
  }
  return most * std::sqrt(count);
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double of_a = mean(a), of_b = mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - of_a) * (b[i] - of_b);
    aa += (a[i] - of_a) * (a[i] - of_a);
    bb += (b[i] - of_b) * (b[i] - of_b);
  }
  return ab / std::sqrt(aa * bb);
}

struct Law {
  ComputeTimeOptions options;
  double deviation;
  std::function<double(double)> F;
};

std::vector<Law> laws() {
  const double sigma = 0.7;
  const double scale = 2 * (1 - 1 / 4.0);  // of a Pareto with exponent 4 and mean 2
  return {{{.kind = ComputeTime::exponential, .mean_s = 2}, 2, [](double t) { return 1 - std::exp(-t / 2); }},
          {{.kind = ComputeTime::shifted_exponential, .mean_s = 2, .shift_s = 0.5},
           1.5,
           [](double t) { return t < 0.5 ? 0 : 1 - std::exp(-(t - 0.5) / 1.5); }},
          {{.kind = ComputeTime::lognormal, .mean_s = 2, .shape = sigma},
           2 * std::sqrt(std::exp(sigma * sigma) - 1),
           [=](double t) {
             const double z = (std::log(t / 2) + 0.5 * sigma * sigma) / sigma;
             return 0.5 * std::erfc(-z / std::sqrt(2.0));
           }},
          {{.kind = ComputeTime::pareto, .mean_s = 2, .shape = 4},
           scale * std::sqrt(4 / (9.0 * 2)),
           [=](double t) { return t < scale ? 0 : 1 - std::pow(scale / t, 4); }},
          {{.kind = ComputeTime::uniform, .mean_s = 2, .shift_s = 0.5}, 3 / std::sqrt(12.0), [](double t) {
             return std::clamp((t - 0.5) / 3, 0.0, 1.0);
           }}};
}

TEST(compute_times, follow_their_laws) {
  for (const Law& law : laws())
    for (const int worker : {0, 4095}) {
      const std::string_view name = name_of(compute_times, law.options.kind);
      const std::vector<double> values = draws(ComputeTimes(law.options, 3), worker);
      EXPECT_LT(kolmogorov_smirnov(values, law.F), 2.23) << name << ", worker " << worker;
      EXPECT_NEAR(mean(values), 2, 5 * law.deviation / std::sqrt(n)) << name << ", worker " << worker;
      EXPECT_GT(*std::min_element(values.begin(), values.end()), 0) << name;
    }
  EXPECT_EQ(draws(ComputeTimes({.mean_s = 2}, 3), 7, 5), std::vector<double>(5, 2.0)) << "constant";
}

TEST(compute_times, are_a_function_of_seed_worker_and_number) {
  for (const Law& law : laws()) {
    const std::string_view name = name_of(compute_times, law.options.kind);
    const ComputeTimes times(law.options, 3);
    const std::vector<double> values = draws(times, 5, 100);
    EXPECT_EQ(times.draw(5, 17), values[17]) << name << ": in whatever order";
    EXPECT_EQ(draws(ComputeTimes(law.options, 3), 5, 100), values) << name;
    EXPECT_NE(draws(ComputeTimes(law.options, 4), 5, 100), values) << name;
    EXPECT_NE(draws(times, 6, 100), values) << name;
  }
}

TEST(compute_times, of_workers_and_of_numbers_are_independent) {
  for (const Law& law : laws()) {
    const ComputeTimes times(law.options, 3);
    const std::vector<double> first = draws(times, 0);
    const double chance = 5 / std::sqrt(n);
    for (const int other : {1, 2, 4095}) EXPECT_LT(std::abs(correlation(first, draws(times, other))), chance);
    for (const index_t lag : {1, 2, 16}) {
      const std::vector<double> a(first.begin(), first.end() - lag), b(first.begin() + lag, first.end());
      EXPECT_LT(std::abs(correlation(a, b)), chance) << "lag " << lag;
    }
  }
}

TEST(compute_times, of_a_list_go_round_from_a_place_of_the_workers_own) {
  ComputeTimeOptions options{.kind = ComputeTime::trace, .mean_s = 10, .trace = {1, 2, 3, 4, 5, 6, 7}};
  const std::vector<double>& list = options.trace;
  for (const ComputeTime kind : {ComputeTime::trace, ComputeTime::calibrated})
    for (const bool scaled : {false, true}) {
      options.kind = kind;
      options.scale_trace = scaled;
      const ComputeTimes times(options, 3);
      const double scale = scaled ? 10 / 4.0 : 1;  // the mean of the list is 4
      std::vector<int> from(list.size());
      for (int worker = 0; worker < 200; ++worker) {
        const std::vector<double> values = draws(times, worker, 20);
        const auto first = static_cast<std::size_t>(std::llround(values[0] / scale)) - 1;
        ++from[first];
        for (std::size_t i = 0; i < values.size(); ++i)
          ASSERT_DOUBLE_EQ(values[i], scale * list[(first + i) % list.size()]) << worker << ", " << i;
      }
      // 200 / 7 = 29 expected of each, with a deviation of 5.
      for (const int count : from) EXPECT_NEAR(count, 29, 25);
    }
}

TEST(compute_times, a_file_of_times_is_read) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "t.txt";
  std::ofstream(path) << "# seconds\n\n 0.5\n2e-3  # slow\n\t3\r\n  \n1";
  EXPECT_EQ(read_trace(path), (std::vector<double>{0.5, 2e-3, 3, 1}));
}

TEST(compute_times, a_bad_file_is_named_with_the_line) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "t.txt";
  for (const char* word : {"0", "-1", "1.5x", "1 2", "nan", "inf", "one"}) {
    std::ofstream(path) << "1\n# comment\n" << word << "\n";
    EXPECT_EQ(caught<UsageError>([&] { read_trace(path); }),
              path + ":3: \"" + word + "\": expected a time above 0, in seconds; # begins a comment");
  }
  std::ofstream(path) << "# nothing\n";
  EXPECT_EQ(caught<UsageError>([&] { read_trace(path); }),
            path + ": it has no time: expected times in seconds, one a line");
  EXPECT_EQ(caught<UsageError>([&] { read_trace(folder / "none"); }),
            folder / "none" + ": it cannot be read: expected a file of times in seconds, one a line");
  EXPECT_EQ(caught<UsageError>([&] { read_trace(folder.path()); }).substr(0, folder.path().size()), folder.path())
      << "a folder has no lines";
}

TEST(compute_times, what_a_law_cannot_have_is_refused) {
  const auto refused = [](const ComputeTimeOptions& options) {
    return caught<UsageError>([&] { ComputeTimes(options, 1); });
  };
  EXPECT_EQ(refused({.mean_s = 0}), "ComputeTimes: mean = 0: expected above 0 s");
  EXPECT_EQ(refused({.mean_s = std::nan("")}), "ComputeTimes: mean = nan: expected above 0 s");
  EXPECT_EQ(refused({.mean_s = INFINITY}), "ComputeTimes: mean = inf: expected above 0 s");
  for (const ComputeTime kind : {ComputeTime::shifted_exponential, ComputeTime::uniform}) {
    EXPECT_EQ(refused({.kind = kind, .mean_s = 1, .shift_s = 1.5}),
              "ComputeTimes: shift = 1.5: expected 0 to the mean, of which it is a part");
    EXPECT_EQ(refused({.kind = kind, .mean_s = 1, .shift_s = -0.5}).substr(0, 13), "ComputeTimes:");
    EXPECT_EQ(refused({.kind = kind, .mean_s = 1, .shift_s = 1}), "nothing was thrown");
  }
  EXPECT_EQ(refused({.kind = ComputeTime::pareto, .shape = 1}),
            "ComputeTimes: shape = 1: expected above 1: else there is no mean");
  EXPECT_EQ(refused({.kind = ComputeTime::lognormal, .shape = -1}), "ComputeTimes: shape = -1: expected at least 0");
  EXPECT_EQ(refused({.kind = ComputeTime::trace}), "ComputeTimes: a list without a time: expected at least one");
  EXPECT_EQ(refused({.kind = ComputeTime::calibrated, .trace = {1, 0}}), "ComputeTimes: time = 0: expected above 0 s");
}

}  // namespace
}  // namespace partita::parallel::server::compute_times_tests
