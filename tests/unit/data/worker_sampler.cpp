// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/worker_sampler.hpp>

#include <support/caught.hpp>

namespace partita::data::worker_sampler_tests {
namespace {

using partita::testing::caught;
using Labels = std::vector<std::int32_t>;

// Class k has sizes[k] samples, neighbours have unlike labels.
Labels labels_of(const std::vector<index_t>& sizes) {
  Labels sorted;
  for (std::size_t k = 0; k < sizes.size(); ++k)
    sorted.insert(sorted.end(), static_cast<std::size_t>(sizes[k]), static_cast<std::int32_t>(k));
  Labels labels;
  for (index_t i = 0; i < std::ssize(sorted); ++i)
    labels.push_back(sorted[static_cast<std::size_t>(permute(5, 0, i, std::ssize(sorted)))]);
  return labels;
}

std::vector<index_t> counts(const WorkerSampler& workers, index_t w, const Labels& labels, std::size_t classes) {
  std::vector<index_t> count(classes);
  for (const index_t i : workers.owned(w)) ++count[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])];
  return count;
}

TEST(worker_sampler, without_skew_a_worker_reads_what_a_rank_with_its_rows_reads) {
  const Sampler sampler(3, 100, 14);
  for (const index_t W : {1, 2, 3, 5, 14}) {
    const std::vector<index_t> rows = equal_rows(14, W);
    const WorkerSampler workers(sampler, rows);
    for (index_t w = 0; w < W; ++w) {
      const Slice slice = partition(14, W, w);
      EXPECT_EQ(workers.share(w), slice);
      EXPECT_FALSE(workers.skewed(0));
      EXPECT_TRUE(workers.owned(w).empty());
      for (const index_t c : {0, 6, 7, 30})
        for (index_t b = 0; b < slice.extent; ++b)
          EXPECT_EQ(workers.sample(w, c, b), sampler.sample(c, slice.offset + b)) << w << ", " << c << ", " << b;
    }
  }
}

TEST(worker_sampler, shares_may_be_unequal) {
  const Sampler sampler(3, 100, 14);
  const WorkerSampler workers(sampler, std::vector<index_t>{1, 10, 3});
  EXPECT_EQ(workers.share(2), (Slice{11, 3, 14}));
  EXPECT_EQ(workers.sample(2, 4, 1), sampler.sample(4, 12));
  std::vector<index_t> all(10);
  workers.samples(1, 4, all);
  for (index_t b = 0; b < 10; ++b) EXPECT_EQ(all[static_cast<std::size_t>(b)], sampler.sample(4, 1 + b));
}

TEST(worker_sampler, with_skew_every_sample_belongs_to_one_worker_and_shares_are_as_rows) {
  const Labels labels = labels_of({50, 0, 31, 20});
  const std::vector<std::vector<index_t>> rows{{7}, {1, 6}, {2, 3, 2}, {1, 1, 1, 1, 1, 1, 1}};
  for (const double alpha : {1e-5, 0.1, 1.0, 1e6}) {
    for (const auto& each : rows) {
      const WorkerSampler workers(Sampler(9, 101, 7), each, {alpha}, labels);
      std::vector<index_t> owned;
      for (index_t w = 0; w < workers.workers(); ++w) {
        const auto mine = workers.owned(w);
        EXPECT_NEAR(static_cast<double>(mine.size()), 101.0 / 7 * static_cast<double>(workers.rows(w)), 1);
        owned.insert(owned.end(), mine.begin(), mine.end());
      }
      std::sort(owned.begin(), owned.end());
      std::vector<index_t> once(101);
      std::iota(once.begin(), once.end(), 0);
      EXPECT_EQ(owned, once) << alpha << ", " << each.size() << " workers";
    }
  }
}

TEST(worker_sampler, a_worker_walks_its_own_in_a_fresh_order_each_epoch) {
  const Labels labels = labels_of({40, 40, 40});
  const WorkerSampler workers(Sampler(2, 120, 10), std::vector<index_t>{4, 6}, {0.5}, labels);  // 48 and 72 samples
  for (index_t w = 0; w < 2; ++w) {
    const auto owned = workers.owned(w);
    const std::set<index_t> mine(owned.begin(), owned.end());
    std::set<std::vector<index_t>> orders;
    for (index_t epoch = 0; epoch < 5; ++epoch) {
      std::vector<index_t> order;
      for (index_t c = 12 * epoch; c < 12 * (epoch + 1); ++c)
        for (index_t b = 0; b < workers.rows(w); ++b) order.push_back(workers.sample(w, c, b));
      EXPECT_EQ(std::set<index_t>(order.begin(), order.end()), mine);
      EXPECT_EQ(order.size(), mine.size()) << "each once";
      orders.insert(order);
    }
    EXPECT_EQ(orders.size(), 5u);
  }
}

// Without a class that runs out, n labels of one worker are Dirichlet-multinomial: the share of class k has mean p and
// variance p (1 - p) / n (n + A) / (1 + A) with A = alpha. True of the first worker, as n is at most the least class.
TEST(worker_sampler, labels_of_a_worker_have_the_closed_form_mean_and_variance) {
  const std::vector<index_t> sizes{80, 60, 40, 20};
  const Labels labels = labels_of(sizes);
  const std::vector<index_t> rows = equal_rows(10, 10);
  const int trials = 3000;
  const double n = 20;
  for (const double alpha : {0.1, 1.0, 10.0}) {
    std::vector<double> mean(4), square(4);
    for (int seed = 0; seed < trials; ++seed) {
      const WorkerSampler workers(Sampler(static_cast<std::uint64_t>(seed), 200, 10), rows, {alpha}, labels);
      const std::vector<index_t> count = counts(workers, 0, labels, 4);
      for (std::size_t k = 0; k < 4; ++k) {
        const double share = static_cast<double>(count[k]) / n, p = static_cast<double>(sizes[k]) / 200;
        mean[k] += share / trials;
        square[k] += (share - p) * (share - p) / trials;
      }
    }
    for (std::size_t k = 0; k < 4; ++k) {
      const double p = static_cast<double>(sizes[k]) / 200;
      const double variance = p * (1 - p) / n * (n + alpha) / (1 + alpha);
      EXPECT_NEAR(mean[k], p, 5 * std::sqrt(variance / trials)) << alpha << ", " << k;
      // E(share - p)^4 <= variance * max(p, 1 - p)^2
      EXPECT_NEAR(square[k], variance, 5 * std::max(p, 1 - p) * std::sqrt(variance / trials)) << alpha << ", " << k;
    }
  }
}

TEST(worker_sampler, a_large_alpha_is_near_no_skew) {
  const index_t N = 60000, W = 6;
  const Labels labels = labels_of(std::vector<index_t>(10, N / 10));
  const WorkerSampler workers(Sampler(4, N, 12), equal_rows(12, W), {1e9}, labels);
  const double p = 0.1, n = static_cast<double>(N) / W;
  for (index_t w = 0; w < W; ++w) {
    // Those who choose late get what others left: the deviation of a sum over all samples.
    const double deviation = std::sqrt(p * (1 - p) * (w < W / 2 ? n : static_cast<double>(N)));
    for (const index_t count : counts(workers, w, labels, 10))
      EXPECT_NEAR(static_cast<double>(count), n * p, 5 * deviation) << w;
  }
}

TEST(worker_sampler, a_small_alpha_is_near_one_class_a_worker) {
  const Labels labels = labels_of(std::vector<index_t>(10, 20));
  index_t mixed = 0, largest = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const WorkerSampler workers(Sampler(seed, 200, 10), equal_rows(10, 10), {1e-4}, labels);
    index_t pairs = 0;
    for (index_t w = 0; w < 10; ++w) {
      const std::vector<index_t> count = counts(workers, w, labels, 10);
      const index_t classes = 10 - std::count(count.begin(), count.end(), 0);
      if (w == 0) mixed += classes > 1 ? 1 : 0;
      pairs += classes;
    }
    largest = std::max(largest, pairs);
  }
  EXPECT_LE(mixed, 2) << "of 100; each has a second class with probability alpha H_20 = 0.0004";
  EXPECT_LE(largest, 20) << "a worker gets another class only when one of the ten runs out";
}

TEST(worker_sampler, a_reshuffle_ends_the_skew) {
  const Labels labels = labels_of({50, 50});
  const Sampler sampler(6, 100, 10);
  const WorkerSampler workers(sampler, equal_rows(10, 2), {0.01, 7}, labels);
  const auto owned = workers.owned(1);
  for (index_t c = 0; c < 12; ++c) {
    EXPECT_EQ(workers.skewed(c), c < 7);
    for (index_t b = 0; b < 5; ++b) {
      const index_t i = workers.sample(1, c, b);
      if (c < 7)
        EXPECT_NE(std::find(owned.begin(), owned.end(), i), owned.end());
      else
        EXPECT_EQ(i, sampler.sample(c, 5 + b));
    }
  }
}

TEST(worker_sampler, what_cannot_be_is_refused) {
  const Sampler sampler(1, 20, 4);
  const auto message = [&](std::vector<index_t> rows, LabelSkew skew, const Labels& labels) {
    return caught<UsageError>([&] { WorkerSampler(sampler, rows, skew, labels); });
  };
  const Labels labels(20, 0);
  EXPECT_EQ(message({1, 3}, {1.0}, labels), "nothing was thrown");
  EXPECT_EQ(message({4, 0}, {}, {}), "WorkerSampler: worker 1 has 0 rows: expected at least 1");
  EXPECT_EQ(message({2, 3}, {}, {}),
            "WorkerSampler: workers have 5 rows together, the batch has 4: expected the same number");
  EXPECT_EQ(message({4}, {-1.0}, labels),
            "WorkerSampler: alpha is -1.000000, reshuffle_at 0: expected both >= 0 and finite");
  EXPECT_EQ(message({4}, {1.0}, {}), "WorkerSampler: 0 labels of 20 samples: expected one for each, >= 0");
  EXPECT_EQ(message({4}, {1.0}, Labels(20, -1)), "WorkerSampler: 20 labels of 20 samples: expected one for each, >= 0");
}

}  // namespace
}  // namespace partita::data::worker_sampler_tests
