// SPDX-License-Identifier: BSD-3-Clause
// Queues against Pollaczek and Khinchine, and by hand.
#include <cmath>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/parallel/server/virtual/network.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::network_tests {
namespace {

TEST(network, that_is_free_costs_nothing_at_all) {
  Network network({}, 2);
  EXPECT_TRUE(network.free());
  for (const double now : {0.0, 0.1, 0.1, 7.3})
    for (const int server : {0, 1}) {
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

// Two messages of 64 byte at once over 32 byte/s, one later: the link is a queue, the latency is not.
TEST(network, links_take_one_message_after_the_other) {
  Network network({.latency_s = 0.25, .byte_per_s = 32}, 2);
  EXPECT_EQ(network.to_server(0, 1, 64), 1 + 0.25 + 2);
  EXPECT_EQ(network.to_server(0, 1, 64), 1 + 0.25 + 4);
  EXPECT_EQ(network.to_server(0, 2, 0), 1 + 0.25 + 4) << "nothing to send, but nobody overtakes";
  EXPECT_EQ(network.to_server(1, 1, 64), 1 + 0.25 + 2) << "another server's link";
  EXPECT_EQ(network.to_worker(0, 1, 64), 1 + 2 + 0.25) << "the other direction";
  EXPECT_EQ(network.to_worker(0, 1, 32), 1 + 3 + 0.25);
  EXPECT_EQ(network.to_server(0, 9, 64), 9 + 0.25 + 2) << "an idle link";
  Network latency({.latency_s = 0.25}, 1);
  EXPECT_EQ(latency.to_server(0, 1, 1 << 30), 1.25);
  EXPECT_EQ(latency.to_server(0, 1, 1 << 30), 1.25) << "no limit, no queue";
}

TEST(network, a_processor_serves_in_the_order_of_arrival) {
  Network network({.service_s = 1, .service_s_per_byte = 0.125}, 2);
  const auto is = [](const Service& service, double start, double end, index_t depth) {
    EXPECT_EQ(service.start_s, start);
    EXPECT_EQ(service.end_s, end);
    EXPECT_EQ(service.depth, depth);
  };
  is(network.serve(0, 0, 8), 0, 2, 0);
  is(network.serve(0, 0.5, 0), 2, 3, 1);
  is(network.serve(0, 1, 0), 3, 4, 2);
  is(network.serve(0, 2, 0), 4, 5, 2);  // the first one has just gone
  is(network.serve(1, 2, 0), 2, 3, 0);  // another server's processor
  is(network.serve(0, 5, 0), 5, 6, 0);
  is(network.serve(0, 7.5, 0), 7.5, 8.5, 0);
}

// M/D/1, Pollaczek and Khinchine: waiting time rho / (2 (1 - rho)) services on average, and what is there when a
// message arrives is rho + rho^2 / (2 (1 - rho)) messages, for Poisson arrivals see time averages.
TEST(network, waiting_times_of_random_arrivals_are_those_of_a_queue) {
  constexpr index_t n = 200000;
  for (const double rho : {0.3, 0.7}) {
    Network network({.service_s = 1}, 1);
    double now = 0, waited = 0, depth = 0, last_end = 0;
    for (index_t i = 0; i < n; ++i) {
      now -= std::log(1 - uniform(5, Stream::test, static_cast<std::uint64_t>(i))) / rho;
      const Service service = network.serve(0, now, 0);
      ASSERT_GE(service.start_s, last_end) << "one at a time, in turn";
      last_end = service.end_s;
      waited += service.start_s - now;
      depth += static_cast<double>(service.depth);
    }
    // A mean over n customers has a variance of about 1 / (2 (1 - rho)^4 n): that of reflected Brownian motion with
    // the queue's drift and variance, which bounds it for lighter traffic.
    const double tolerance = 5 * std::sqrt(0.5 / n) / ((1 - rho) * (1 - rho));
    const double wait = rho / (2 * (1 - rho));
    EXPECT_NEAR(waited / n, wait, tolerance) << rho;
    EXPECT_NEAR(depth / n, rho + rho * wait, 2 * tolerance) << rho;
  }
}

TEST(network, numbers_below_nothing_are_refused) {
  const auto refused = [](const NetworkOptions& options) {
    return testing::caught<UsageError>([&] { Network(options, 1); });
  };
  EXPECT_EQ(refused({.latency_s = -1}), "Network: latency = -1: expected at least 0");
  EXPECT_EQ(refused({.byte_per_s = std::nan("")}), "Network: bandwidth = nan: expected at least 0");
  EXPECT_EQ(refused({.service_s = -1}), "Network: service = -1: expected at least 0");
  EXPECT_EQ(refused({.service_s_per_byte = -1}), "Network: service of a byte = -1: expected at least 0");
}

}  // namespace
}  // namespace partita::parallel::server::network_tests
