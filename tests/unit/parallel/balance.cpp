// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/balance.hpp>

#include <support/caught.hpp>

namespace partita::parallel::balance_tests {
namespace {

using partita::testing::caught;
using Counts = std::vector<index_t>;

// Every way to cut, in the order of earliest cuts.
void all_cuts(index_t layers, int stages, Counts& begun, std::vector<Counts>& all) {
  if (stages == 1) {
    begun.push_back(layers);
    all.push_back(begun);
    begun.pop_back();
    return;
  }
  for (index_t first = 1; first <= layers - (stages - 1); ++first) {
    begun.push_back(first);
    all_cuts(layers - first, stages - 1, begun, all);
    begun.pop_back();
  }
}

Counts by_trying_all(const std::vector<double>& cost, int stages) {
  std::vector<Counts> all;
  Counts begun;
  all_cuts(std::ssize(cost), stages, begun, all);
  const auto worth = [&](const Counts& counts) {
    double most = 0, squares = 0;
    std::size_t at = 0;
    for (const index_t count : counts) {
      double sum = 0;
      for (index_t k = 0; k < count; ++k) sum += cost[at++];
      most = std::max(most, sum);
      squares += sum * sum;
    }
    return std::pair(most, squares);
  };
  return *std::min_element(all.begin(), all.end(),
                           [&](const Counts& a, const Counts& b) { return worth(a) < worth(b); });
}

// Whole numbers, so that sums and squares are exact; few different ones, so that there are ties.
TEST(balance, stages_are_those_of_trying_all_cuts) {
  std::mt19937 random(1);
  for (int layers = 1; layers <= 10; ++layers)
    for (int stages = 1; stages <= std::min(5, layers); ++stages)
      for (const int largest : {0, 1, 2, 4, 100})
        for (int repeat = 0; repeat < 20; ++repeat) {
          std::vector<double> cost;
          for (int k = 0; k < layers; ++k) cost.push_back(std::uniform_int_distribution<int>(0, largest)(random));
          EXPECT_EQ(balance_stages(cost, stages), by_trying_all(cost, stages))
              << ::testing::PrintToString(cost) << " in " << stages;
        }
}

TEST(balance, rounding_does_not_move_cuts) {
  // Of 0.1 + 0.1 + 0.1 and its like no sum is exact, and squares of 1e15 are not either.
  EXPECT_EQ(balance_stages(std::vector<double>(7, 0.1), 3), (Counts{2, 2, 3}));
  EXPECT_EQ(balance_stages(std::vector<double>(11, 1e15 / 3), 4), (Counts{2, 3, 3, 3}));
}

TEST(balance, equal_stages_are_as_even_as_can_be) {
  EXPECT_EQ(equal_stages(10, 4), (Counts{3, 3, 2, 2}));
  EXPECT_EQ(equal_stages(4, 4), (Counts{1, 1, 1, 1}));
  EXPECT_EQ(equal_stages(9, 1), Counts{9});
}

TEST(balance, what_is_gained_is_a_ratio_of_the_costliest_stages) {
  const std::vector<double> cost = {8, 1, 1, 2, 2, 2};
  const Counts equal = equal_stages(6, 2), balanced = balance_stages(cost, 2);
  EXPECT_EQ(stage_costs(cost, equal), (std::vector<double>{10, 6}));
  EXPECT_EQ(balanced, (Counts{1, 5}));
  EXPECT_EQ(imbalance(cost, equal), 1.25);
  EXPECT_EQ(imbalance(cost, balanced), 1);
  EXPECT_EQ(gain_over_equal(cost, balanced), 1.25);
  EXPECT_EQ(gain_over_equal(cost, equal), 1);
  const std::vector<double> nothing(4, 0.);
  EXPECT_EQ(imbalance(nothing, equal_stages(4, 2)), 1);
  EXPECT_EQ(gain_over_equal(nothing, equal_stages(4, 2)), 1);
}

TEST(balance, words_are_those_of_decks) {
  EXPECT_EQ(name_of(balances, Balance::equal), "equal");
  EXPECT_EQ(name_of(balances, Balance::cost), "cost");
  EXPECT_EQ(name_of(balances, Balance::measured), "measured");
}

TEST(balance, fewer_layers_than_stages_are_refused) {
  const std::string expected = "balance: 3 layers, 4 stages: expected at least one layer a stage";
  EXPECT_EQ(caught<UsageError>([] { equal_stages(3, 4); }), expected);
  EXPECT_EQ(caught<UsageError>([] { balance_stages(std::vector<double>(3, 1.), 4); }), expected);
  EXPECT_EQ(caught<UsageError>([] { equal_stages(3, 0); }), "balance: 0 stages: expected at least 1");
  EXPECT_EQ(caught<ShapeError>([] {
              stage_costs(std::vector<double>(3, 1.), Counts{1, 1});
            }),
            "stage_costs: 2 layers in stages, 3 have a cost: expected stages of all layers");
}

}  // namespace
}  // namespace partita::parallel::balance_tests
