// SPDX-License-Identifier: BSD-3-Clause
// Where servers' keys begin: against every cut that there is, and against plain sums.
#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/nn/bag.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/parallel/server/key_ranges.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::key_ranges_tests {
namespace {

std::vector<index_t> sums(const std::vector<index_t>& loads) {
  std::vector<index_t> below = {0};
  for (const index_t load : loads) below.push_back(below.back() + load);
  return below;
}

index_t largest(const std::vector<index_t>& loads, const std::vector<index_t>& cuts) {
  index_t most = 0;
  for (std::size_t k = 1; k < cuts.size(); ++k)
    most = std::max(most, std::accumulate(loads.begin() + cuts[k - 1], loads.begin() + cuts[k], index_t{0}));
  return most;
}

// Of all cuts into parts that are not empty.
index_t least_of_all(const std::vector<index_t>& loads, int parts, std::vector<index_t> cuts = {0}) {
  const index_t blocks = std::ssize(loads);
  if (std::ssize(cuts) == parts) {
    cuts.push_back(blocks);
    return largest(loads, cuts);
  }
  index_t least = std::accumulate(loads.begin(), loads.end(), index_t{0});
  cuts.push_back(0);
  for (cuts.back() = cuts.end()[-2] + 1; cuts.back() < blocks; ++cuts.back())
    least = std::min(least, least_of_all(loads, parts, cuts));
  return least;
}

TEST(key_ranges, no_other_cut_has_a_smaller_largest_load) {
  std::uint64_t n = 0;
  const auto draw = [&n](index_t below) {
    return static_cast<index_t>(uniform(3, Stream::test, n++) * static_cast<double>(below));
  };
  for (int trial = 0; trial < 500; ++trial) {
    const int parts = 1 + trial % 5;
    std::vector<index_t> loads(static_cast<std::size_t>(parts + draw(8)));
    const index_t most = trial % 3 == 0 ? 2 : 12;  // many that are 0, or few
    for (index_t& load : loads) load = draw(most);
    const std::vector<index_t> cuts = even_cuts(sums(loads), parts);
    ASSERT_EQ(std::ssize(cuts), parts + 1);
    ASSERT_EQ(cuts.front(), 0);
    ASSERT_EQ(cuts.back(), std::ssize(loads));
    ASSERT_EQ(std::adjacent_find(cuts.begin(), cuts.end(), std::greater_equal<>()), cuts.end()) << "an empty part";
    ASSERT_EQ(largest(loads, cuts), least_of_all(loads, parts)) << trial;
  }
}

TEST(key_ranges, of_equal_blocks_differ_by_one_and_are_near_their_even_places) {
  EXPECT_EQ(even_cuts(sums(std::vector<index_t>(10, 3)), 4), (std::vector<index_t>{0, 2, 5, 7, 10}));
  // One large block makes the bound; the others are not pushed to one side.
  EXPECT_EQ(even_cuts(sums({9, 1, 1, 1, 1, 1, 1, 1, 1}), 3), (std::vector<index_t>{0, 1, 5, 9}));
}

// Rows that a formula touches.
class Touching final : public Learner<double> {
 public:
  explicit Touching(const SparseTable& table) : table_(table) {}
  index_t keys() const override { return table_.size() + 5; }
  SparseTable table() const override { return table_; }
  TouchedRows touched(int worker, index_t clock) override {
    asked.emplace(worker, clock);
    TouchedRows rows = {0};
    if (clock % 2 == 0) rows.push_back(2);
    if (worker == 1) rows.push_back(3);
    return rows;
  }
  index_t batch() const override { return 2; }
  index_t samples(int) const override { return 1; }
  Gradient<double> gradient(int, index_t, const nn::Window<const double>&) override {
    throw Error("nothing is computed");
  }

  std::set<std::pair<int, index_t>> asked;

 private:
  SparseTable table_;
};

TEST(key_ranges, loads_count_the_first_gradients_of_each_worker) {
  Touching learner({.rows = 4, .width = 3, .most = 3});
  const KeyLoads loads = measure_loads<double>(learner, 2);
  ASSERT_EQ(learner.asked.size(), 40u);
  EXPECT_EQ(*learner.asked.rbegin(), std::pair(1, index_t{19}));
  const index_t of_row[] = {40, 0, 20, 20};
  for (index_t row = 0; row < 4; ++row) EXPECT_EQ(loads.of({3 * row, 3}), 3 * of_row[row]) << row;
  EXPECT_EQ(loads.of({12, 5}), 5 * 40) << "every gradient touches what is behind the table";
  EXPECT_EQ(loads.below(17), 3 * 80 + 5 * 40);
  learner.asked.clear();
  measure_loads<double>(learner, 1000);
  EXPECT_EQ(learner.asked.size(), 2000u) << "2 of each worker";
}

TEST(key_ranges, of_a_table_have_whole_rows_and_even_loads) {
  constexpr index_t V = 2000, width = 24;  // cells of 4096 weights, 512 of them whole rows of 3 cells each
  const nn::ParameterTable table =
      nn::make_bag<float>({.V = V, .T = 4, .C = width, .hidden = {8}, .classes = 3}).table();
  std::vector<index_t> touches(V, 1);
  for (std::size_t row = 1500; row < V; ++row) touches[row] = 50;
  const KeyLoads loads({.rows = V, .width = width, .most = 100}, 100, touches);
  const std::vector<Range> equal = key_ranges(table, 3, Balance::equal, loads),
                           even = key_ranges(table, 3, Balance::load, loads);
  for (const std::vector<Range>& ranges : {equal, even}) {
    ASSERT_EQ(ranges.size(), 3u);
    index_t next = 0;
    for (const Range& keys : ranges) {
      EXPECT_EQ(keys.offset, next);
      EXPECT_TRUE(keys.offset >= V * width || keys.offset % width == 0) << keys.offset;
      next = keys.end();
    }
    EXPECT_EQ(next, table.size());
  }
  const auto most = [](const std::vector<Range>& ranges, const auto& load) {
    index_t largest = 0;
    for (const Range& keys : ranges) largest = std::max(largest, load(keys));
    return largest;
  };
  const auto weights = [](const Range& keys) { return keys.extent; };
  const auto load = [&](const Range& keys) { return loads.of(keys); };
  EXPECT_LT(most(equal, weights), most(even, weights));
  EXPECT_LT(most(even, load), most(equal, load));
}

TEST(key_ranges, of_a_dense_model_are_the_same_by_weights_and_by_load) {
  const nn::ParameterTable table = nn::make_mlp<float>({.features = 40, .hidden = {300}, .classes = 5}).table();
  for (const int servers : {1, 2, 3}) {
    const std::vector<Range> equal = key_ranges(table, servers), even = key_ranges(table, servers, Balance::load);
    for (std::size_t s = 0; s < equal.size(); ++s) EXPECT_EQ(equal[s].offset, even[s].offset);
  }
}

TEST(key_ranges, more_servers_than_ranges_are_refused) {
  const nn::ParameterTable table = nn::make_mlp<float>({.features = 2, .hidden = {3}, .classes = 4}).table();
  EXPECT_EQ(key_ranges(table, 4).size(), 4u);
  EXPECT_EQ(partita::testing::caught<UsageError>([&] { key_ranges(table, 5); }),
            "server.count: 5 servers for 25 weights: expected at most 4: a server has whole rows of a table, and whole "
            "blocks of up to 4096 weights of a tensor");
}

}  // namespace
}  // namespace partita::parallel::server::key_ranges_tests
