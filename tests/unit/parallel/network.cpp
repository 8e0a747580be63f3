// SPDX-License-Identifier: BSD-3-Clause
// Links and processors of servers by hand, and as queues against Pollaczek and Khinchine: with Poisson arrivals of rate
// r and services of mean 1 and variance v, rho = r, a message waits r (1 + v) / (2 (1 - rho)) on average.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/parallel/server/virtual/network.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::network_tests {
namespace {

using partita::testing::caught;

constexpr double errors = 5;

double exponential(int purpose, index_t n) {
  return -std::log(
      1 - uniform(7, substream(Stream::test, static_cast<std::uint64_t>(purpose)), static_cast<std::uint64_t>(n)));
}

TEST(network, that_costs_nothing_takes_no_time) {
  Network network({}, 3);
  EXPECT_TRUE(network.free());
  double now = 0;
  for (index_t n = 0; n < 1000; ++n) {
    const int server = static_cast<int>(n % 3);
    now += n % 5 == 0 ? 0 : exponential(0, n);
    EXPECT_EQ(network.to_server(server, now, 1 << 20), now);
    EXPECT_EQ(network.to_worker(server, now, 1 << 20), now);
    const Service service = network.serve(server, now, 1 << 20);
    EXPECT_EQ(service.start_s, now);
    EXPECT_EQ(service.end_s, now);
    EXPECT_EQ(service.depth, 0);
  }
  for (const NetworkOptions& some : {NetworkOptions{.latency_s = 1}, NetworkOptions{.byte_per_s = 1},
                                     NetworkOptions{.service_s = 1}, NetworkOptions{.service_s_per_byte = 1}})
    EXPECT_FALSE(Network(some, 1).free());
}

// Latencies of messages overlap, transfers do not.
TEST(network, a_link_takes_one_message_after_the_other) {
  Network network({.latency_s = 2, .byte_per_s = 10}, 2);
  EXPECT_EQ(network.to_server(0, 0, 30), 5);    // there from 2, 3 s long
  EXPECT_EQ(network.to_server(0, 1, 10), 6);    // its first byte is there at 3 and waits until 5
  EXPECT_EQ(network.to_server(0, 1, 0), 6);     // nothing overtakes, however short
  EXPECT_EQ(network.to_server(1, 1, 10), 4);    // another server's link
  EXPECT_EQ(network.to_server(0, 20, 10), 23);  // idle again
  EXPECT_EQ(network.to_worker(0, 0, 30), 5);    // the other direction is free: 3 s out, 2 s on the way
  EXPECT_EQ(network.to_worker(0, 1, 10), 6);    // out from 3 to 4
  EXPECT_EQ(network.to_worker(1, 1, 10), 4);
}

TEST(network, a_processor_serves_in_the_order_of_arrival_and_counts_who_is_there) {
  Network network({.service_s = 2, .service_s_per_byte = 0.5}, 2);
  const auto expect = [](const Service& service, double start_s, double end_s, index_t depth) {
    EXPECT_EQ(service.start_s, start_s);
    EXPECT_EQ(service.end_s, end_s);
    EXPECT_EQ(service.depth, depth);
  };
  expect(network.serve(0, 1, 2), 1, 4, 0);
  expect(network.serve(0, 1, 0), 4, 6, 1);
  expect(network.serve(0, 3, 4), 6, 10, 2);
  expect(network.serve(1, 3, 0), 3, 5, 0);
  expect(network.serve(0, 4, 0), 10, 12, 2);  // the first has just ended
  expect(network.serve(0, 12, 0), 12, 14, 0);
}

TEST(network, an_update_keeps_the_processor_from_services_and_answers) {
  Network network({.byte_per_s = 10, .service_s = 2, .update_s = 1, .update_s_per_byte = 0.5}, 2);
  const Service first = network.serve(0, 0, 0), second = network.serve(0, 0, 0);
  EXPECT_EQ(second.end_s, 4);
  EXPECT_FALSE(network.postpone(0, 2, first));
  EXPECT_EQ(network.update(0, 2, 8), 7);      // the first message was the last of an update: 1 s and 4 s
  EXPECT_EQ(network.to_worker(0, 2, 10), 8);  // weights leave when they are new
  EXPECT_EQ(network.to_worker(1, 2, 10), 3);  // another server's
  const auto later = network.postpone(0, 4, second);
  ASSERT_TRUE(later.has_value());
  EXPECT_EQ(later->start_s, 7);
  EXPECT_EQ(later->end_s, 9);
  EXPECT_FALSE(network.postpone(0, 9, *later));
  EXPECT_EQ(network.serve(0, 5, 0).start_s, 9);  // what comes during the update is after both
  EXPECT_EQ(network.update(0, 20, 0), 21);
  EXPECT_FALSE(Network({.update_s = 1}, 1).free());
  EXPECT_FALSE(Network({.update_s_per_byte = 1}, 1).free());
}

TEST(network, messages_do_not_overtake_each_other) {
  Network network({.latency_s = 0.3, .byte_per_s = 1000}, 1);
  double now = 0, there = 0, back = 0;
  for (index_t n = 0; n < 10000; ++n) {
    now += exponential(1, n);
    const auto bytes = static_cast<index_t>(900 * exponential(2, n));
    const double next_there = network.to_server(0, now, bytes), next_back = network.to_worker(0, now, bytes);
    ASSERT_GE(next_there, there);
    ASSERT_GE(next_back, back);
    const double alone = 0.3 + static_cast<double>(bytes) / 1000;
    ASSERT_GE(next_there - now, alone * (1 - 1e-9) - 1e-9 * now);
    ASSERT_GE(next_back - now, alone * (1 - 1e-9) - 1e-9 * now);
    there = next_there;
    back = next_back;
  }
}

// Mean of correlated numbers, and its standard error from means of batches that are long beside the queue's memory.
struct Estimate {
  double mean = 0, error = 0;
};

Estimate estimate(const std::vector<double>& x) {
  constexpr std::size_t batches = 50;
  const std::size_t each = x.size() / batches;
  std::vector<double> means;
  for (std::size_t b = 0; b < batches; ++b) {
    const auto begin = x.begin() + static_cast<std::ptrdiff_t>(b * each);
    means.push_back(std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(each), 0.0) / static_cast<double>(each));
  }
  const double mean = std::accumulate(means.begin(), means.end(), 0.0) / batches;
  double squares = 0;
  for (const double m : means) squares += (m - mean) * (m - mean);
  return {mean, std::sqrt(squares / (batches - 1) / batches)};
}

void expect_mean(const std::vector<double>& x, double expected, const char* what) {
  const Estimate seen = estimate(x);
  EXPECT_NEAR(seen.mean, expected, errors * seen.error) << what;
  EXPECT_LT(errors * seen.error, 0.12 * expected) << what << ": an estimate so vague says nothing";
}

constexpr index_t messages = 300000;

TEST(network, a_processor_with_poisson_arrivals_is_the_queue_of_pollaczek_and_khinchine) {
  for (const double rho : {0.3, 0.6})
    for (const double variance : {0., 1.}) {
      // Bytes are a millionth of a mean service: 1e6 of them, or exponential.
      Network network({.service_s_per_byte = 1e-6}, 1);
      std::vector<double> waits, depths;
      double now = 0;
      for (index_t n = 0; n < messages; ++n) {
        now += exponential(3, n) / rho;
        const double length = variance > 0 ? exponential(4, n) : 1;
        const Service service = network.serve(0, now, std::llround(1e6 * length));
        waits.push_back(service.start_s - now);
        depths.push_back(static_cast<double>(service.depth));
      }
      const double wait = rho * (1 + variance) / (2 * (1 - rho));
      expect_mean(waits, wait, variance > 0 ? "M/M/1, wait" : "M/D/1, wait");
      // Arrivals see time averages (Wolff 1982), and those are Little's: rate times wait and service.
      expect_mean(depths, rho * (wait + 1), variance > 0 ? "M/M/1, depth" : "M/D/1, depth");
      if (variance == 0) continue;
      std::vector<double> beyond;
      for (const double depth : depths) beyond.push_back(depth >= 2 ? 1 : 0);
      expect_mean(beyond, rho * rho, "M/M/1: at least two are there");
    }
}

TEST(network, a_link_with_poisson_arrivals_is_that_queue_too) {
  const double rho = 0.6, latency = 0.25;
  Network network({.latency_s = latency, .byte_per_s = 64}, 1);
  std::vector<double> in, out;
  double now = 0;
  for (index_t n = 0; n < messages; ++n) {
    now += exponential(5, n) / rho;
    in.push_back(network.to_server(0, now, 64) - now);
    out.push_back(network.to_worker(0, now, 64) - now);
  }
  const double expected = latency + rho / (2 * (1 - rho)) + 1;
  expect_mean(in, expected, "in");
  expect_mean(out, expected, "out");
}

TEST(network, numbers_below_zero_and_infinite_ones_are_refused) {
  const auto refused = [](const NetworkOptions& options) { return caught<UsageError>([&] { Network(options, 1); }); };
  EXPECT_EQ(refused({.latency_s = -1}), "Network: latency = -1: expected at least 0");
  EXPECT_EQ(refused({.latency_s = std::numeric_limits<double>::infinity()}),
            "Network: latency = inf: expected at least 0");
  EXPECT_EQ(refused({.byte_per_s = -1}), "Network: bandwidth = -1: expected at least 0");
  EXPECT_EQ(refused({.service_s = -1}), "Network: service = -1: expected at least 0");
  EXPECT_EQ(refused({.service_s_per_byte = std::nan("")}), "Network: service of a byte = nan: expected at least 0");
}

}  // namespace
}  // namespace partita::parallel::server::network_tests
