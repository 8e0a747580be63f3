// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/sampler.hpp>

#include <support/caught.hpp>

namespace partita::data::sampler_tests {
namespace {

using namespace partita;
using namespace partita::data;
using partita::testing::caught;

// All samples of some steps, in order.
std::vector<index_t> drawn(const Sampler& sampler, index_t first_step, index_t steps) {
  std::vector<index_t> result;
  for (index_t step = first_step; step < first_step + steps; ++step) {
    for (index_t b = 0; b < sampler.batch(); ++b) result.push_back(sampler.sample(step, b));
  }
  return result;
}

TEST(sampler, an_epoch_draws_every_sample_once) {
  const Sampler sampler(1, 60, 12);
  ASSERT_EQ(sampler.steps_per_epoch(), 5);
  for (index_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<index_t> samples = drawn(sampler, epoch * 5, 5);
    EXPECT_EQ(sampler.epoch(epoch * 5 + 4), epoch);
    EXPECT_FALSE(std::is_sorted(samples.begin(), samples.end())) << "shuffled";
    std::sort(samples.begin(), samples.end());
    std::vector<index_t> all(60);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(samples, all);
  }
}

TEST(sampler, order_depends_on_seed_and_epoch_but_not_on_the_batch) {
  const auto order = [](std::uint64_t seed, index_t batch, index_t epoch) {
    const Sampler sampler(seed, 60, batch);
    return drawn(sampler, epoch * sampler.steps_per_epoch(), sampler.steps_per_epoch());
  };
  EXPECT_EQ(order(1, 4, 0), order(1, 15, 0));
  EXPECT_EQ(order(1, 60, 7), order(1, 1, 7));
  EXPECT_NE(order(1, 4, 0), order(2, 4, 0));
  EXPECT_NE(order(1, 4, 0), order(1, 4, 1));
}

TEST(sampler, the_rest_of_an_epoch_sits_out) {
  const Sampler sampler(1, 10, 3);
  ASSERT_EQ(sampler.steps_per_epoch(), 3);
  std::set<index_t> ever;
  for (index_t epoch = 0; epoch < 30; ++epoch) {
    const std::vector<index_t> samples = drawn(sampler, 3 * epoch, 3);
    const std::set<index_t> distinct(samples.begin(), samples.end());
    EXPECT_EQ(distinct.size(), 9u);
    ever.insert(distinct.begin(), distinct.end());
  }
  EXPECT_EQ(ever.size(), 10u) << "not always the same one";
}

TEST(sampler, batches_that_cannot_be_are_refused) {
  EXPECT_EQ(caught<UsageError>([] { Sampler(1, 10, 10); }), "nothing was thrown");
  EXPECT_EQ(caught<UsageError>([] { Sampler(1, 10, 11); }),
            "Sampler: a batch of 11 out of 10 samples: expected at least 1 and at most as many");
  EXPECT_THROW(Sampler(1, 10, 0), UsageError);
  EXPECT_THROW(Sampler(1, 0, 1), UsageError);
}

}  // namespace
}  // namespace partita::data::sampler_tests
