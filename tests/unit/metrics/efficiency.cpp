// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include <partita/metrics/efficiency.hpp>

namespace partita::metrics::efficiency_tests {
namespace {

using namespace partita::metrics;

constexpr double rounding = 1e-14;  // a few operations in double, values near 1

// Amdahl's law with serial fraction f.
double amdahl_s(double f, double p) { return f + (1 - f) / p; }

// Busy share of p pipeline stages that pass m micro-batches, forward then backward, unit times, all forwards first: by
// playing the schedule, one clock tick at a time.
double bubble_by_playing(int p, int m) {
  std::vector<std::vector<int>> forward(static_cast<std::size_t>(p), std::vector<int>(static_cast<std::size_t>(m)));
  auto backward = forward;
  const auto P = static_cast<std::size_t>(p), M = static_cast<std::size_t>(m);
  for (std::size_t s = 0; s < P; ++s) {
    for (std::size_t i = 0; i < M; ++i) {
      forward[s][i] = 1 + std::max(s == 0 ? 0 : forward[s - 1][i], i == 0 ? 0 : forward[s][i - 1]);
    }
  }
  int end = 0;
  for (std::size_t s = P; s-- > 0;) {
    for (std::size_t i = 0; i < M; ++i) {
      const int free = i == 0 ? forward[s][M - 1] : backward[s][i - 1];
      backward[s][i] = 1 + std::max(free, s + 1 == P ? 0 : backward[s + 1][i]);
      end = std::max(end, backward[s][i]);
    }
  }
  return 1 - 2.0 * m / end;
}

TEST(efficiency, strong_and_weak_scaling) {
  EXPECT_EQ(speedup(8, 2), 4);
  EXPECT_EQ(strong_efficiency(8, 1, 2, 8), 0.5);
  EXPECT_EQ(strong_efficiency(8, 2, 2, 8), 1.0);  // base case at two ranks
  EXPECT_EQ(weak_efficiency(8, 10), 0.8);
}

TEST(efficiency, karp_flatt_finds_amdahls_serial_fraction) {
  for (const double f : {0.0, 0.01, 0.3, 1.0}) {
    for (const double p : {2.0, 3.0, 64.0}) {
      EXPECT_NEAR(karp_flatt(speedup(amdahl_s(f, 1), amdahl_s(f, p)), p), f, rounding);
    }
  }
}

TEST(efficiency, factors_multiply_to_parallel_efficiency) {
  const std::vector<double> compute{3, 1, 2};
  const Efficiency e = efficiency(compute, 5, 4);
  EXPECT_DOUBLE_EQ(e.parallel, 0.4);
  EXPECT_DOUBLE_EQ(e.load_balance, 2.0 / 3);
  EXPECT_DOUBLE_EQ(e.serialisation, 0.75);
  EXPECT_DOUBLE_EQ(e.transfer, 0.8);
  EXPECT_NEAR(e.load_balance * e.serialisation * e.transfer, e.parallel, rounding);
}

TEST(efficiency, computation_scaling_is_one_when_work_neither_grows_nor_slows) {
  EXPECT_EQ(computation_scaling(6, 6), 1);      // strong: same sum
  EXPECT_EQ(computation_scaling(6, 24, 4), 1);  // weak: four times the ranks, four times the sum
  EXPECT_EQ(computation_scaling(6, 12), 0.5);
}

TEST(efficiency, bus_bandwidth_factors_count_what_a_ring_sends) {
  // A rank of a ring sends one segment of 1/n in each of n - 1 steps of a reduce-scatter, and again of an all-gather.
  for (const int n : {2, 3, 8}) {
    double sent = 0;
    for (int step = 0; step < n - 1; ++step) sent += 1.0 / n;
    EXPECT_NEAR(busbw_factor_reduce_scatter(n), sent, rounding);
    EXPECT_NEAR(busbw_factor_allgather(n), sent, rounding);
    EXPECT_NEAR(busbw_factor_allreduce(n), 2 * sent, rounding);
    EXPECT_EQ(busbw_factor_broadcast(n), 1);
  }
}

TEST(efficiency, bubble_equals_a_played_schedule) {
  for (const int p : {1, 2, 3, 4}) {
    for (const int m : {1, 2, 3, 8}) {
      EXPECT_NEAR(bubble_gpipe(p, m), bubble_by_playing(p, m), rounding) << p << " " << m;
      EXPECT_EQ(bubble_1f1b(p, m), bubble_gpipe(p, m));
    }
  }
}

TEST(efficiency, better_schedules_have_smaller_bubbles) {
  EXPECT_EQ(bubble_interleaved(4, 8, 1), bubble_1f1b(4, 8));
  EXPECT_DOUBLE_EQ(bubble_interleaved(4, 8, 2), 3.0 / 19);
  EXPECT_DOUBLE_EQ(bubble_zb_h1(4, 8), 3.0 / 27);
}

// GPT-2 of 124M parameters, counted by hand.
TEST(efficiency, flop_of_a_token_by_the_published_formulas) {
  EXPECT_EQ(flop_per_token_6n_12lct(124439808, 12, 768, 1024), 746638848.0 + 113246208.0);
  EXPECT_EQ(flop_per_token_6n_6lct(124439808, 12, 768, 1024), 746638848.0 + 56623104.0);
}

TEST(efficiency, overlap_and_mfu) {
  EXPECT_EQ(overlap(1, 4), 0.75);
  EXPECT_EQ(overlap(4, 4), 0);
  EXPECT_EQ(mfu(2e9, 0.5, 8e9), 0.5);
}

}  // namespace
}  // namespace partita::metrics::efficiency_tests
