// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/core/random.hpp>
#include <partita/core/tree.hpp>

#include <support/caught.hpp>

namespace {

using namespace partita;
using partita::testing::caught;

// The second half cancels the first in another order: what is left of the sum is rounding, which nearly every other
// order of additions changes. Checked below.
std::vector<double> sensitive_leaves(index_t C) {
  std::vector<double> leaves;
  const index_t half = C / 2;
  for (index_t i = 0; i < half; ++i) leaves.push_back(normal(7, Stream::test, i));
  for (index_t i = 0; i < half; ++i) leaves.push_back(-leaves[permute(7, 0, i, half)]);
  if (C % 2 == 1) leaves.push_back(1e-16);
  return leaves;
}

// The definition, once more and by itself: left half takes the odd leaf.
double recursive_sum(const std::vector<double>& leaves, index_t lo, index_t hi) {
  if (hi - lo == 1) return leaves[lo];
  const index_t left = (hi - lo) / 2 + (hi - lo) % 2;
  return recursive_sum(leaves, lo, lo + left) + recursive_sum(leaves, lo + left, hi);
}

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

// What ranks do: each sums its cover, then the additions are carried out as listed.
double sum_in_pieces(const std::vector<double>& leaves, const std::vector<index_t>& cuts) {
  const index_t C = std::ssize(leaves);
  std::vector<Node> nodes;
  for (std::size_t r = 0; r + 1 < cuts.size(); ++r) {
    for (const Node node : tree_cover(C, cuts[r], cuts[r + 1])) nodes.push_back(node);
  }
  std::vector<double> buffer;
  for (const Node node : nodes) buffer.push_back(recursive_sum(leaves, node.lo, node.hi));
  for (const Merge merge : tree_merges(C, nodes)) {
    EXPECT_LT(merge.into, merge.from);
    buffer[merge.into] += buffer[merge.from];
  }
  return buffer[0];
}

TEST(tree, sum_is_the_recursive_sum) {
  for (index_t C = 1; C <= 32; ++C) {
    const std::vector<double> leaves = sensitive_leaves(C);
    EXPECT_TRUE(same_bits(tree_sum(leaves), recursive_sum(leaves, 0, C))) << C;
  }
  EXPECT_EQ(tree_sum({}), 0.0);
}

TEST(tree, leaves_tell_orders_apart) {  // or the tests beside this one would prove little
  int same = 0;
  for (index_t C = 9; C <= 32; ++C) {
    const std::vector<double> leaves = sensitive_leaves(C);
    double ascending = 0.0;
    for (const double leaf : leaves) ascending += leaf;
    same += same_bits(ascending, tree_sum(leaves));
  }
  EXPECT_LE(same, 6) << "of 24";
}

TEST(tree, cover_and_merges_give_the_same_bits_for_every_number_of_ranks) {
  for (index_t C = 1; C <= 32; ++C) {
    const std::vector<double> leaves = sensitive_leaves(C);
    for (index_t P = 1; P <= std::min<index_t>(C, 8); ++P) {
      std::vector<index_t> cuts{0};
      for (index_t r = 0; r < P; ++r) cuts.push_back(partition(C, P, r).end());
      ASSERT_TRUE(same_bits(sum_in_pieces(leaves, cuts), tree_sum(leaves))) << C << " leaves on " << P << " ranks";
    }
  }
}

TEST(tree, cover_and_merges_give_the_same_bits_for_every_way_to_cut) {
  for (index_t C = 1; C <= 10; ++C) {
    const std::vector<double> leaves = sensitive_leaves(C);
    for (index_t chosen = 0; chosen < index_t{1} << (C - 1); ++chosen) {
      std::vector<index_t> cuts{0};
      for (index_t i = 1; i < C; ++i) {
        if (chosen >> (i - 1) & 1) cuts.push_back(i);
      }
      cuts.push_back(C);
      ASSERT_TRUE(same_bits(sum_in_pieces(leaves, cuts), tree_sum(leaves))) << C << " leaves, cuts " << chosen;
    }
  }
}

TEST(tree, cover_is_in_order_without_gap_and_as_short_as_can_be) {
  for (index_t C = 1; C <= 32; ++C) {
    const auto limit = static_cast<std::size_t>(2 * std::bit_width(static_cast<std::uint64_t>(C)));
    for (index_t lo = 0; lo <= C; ++lo) {
      for (index_t hi = lo; hi <= C; ++hi) {
        const std::vector<Node> nodes = tree_cover(C, lo, hi);
        index_t next = lo;
        for (const Node node : nodes) {
          ASSERT_EQ(node.lo, next);
          ASSERT_LT(node.lo, node.hi);
          next = node.hi;
        }
        ASSERT_EQ(next, hi);
        ASSERT_LE(nodes.size(), limit);
        ASSERT_TRUE(tree_merges(C, nodes).empty()) << "two of them are siblings: " << C << ", " << lo << ", " << hi;
      }
    }
  }
}

TEST(tree, leaves_of_a_part_merge_into_its_cover) {
  for (index_t C = 1; C <= 20; ++C) {
    for (index_t lo = 0; lo < C; ++lo) {
      for (index_t hi = lo + 1; hi <= C; ++hi) {
        std::vector<Node> nodes;
        for (index_t i = lo; i < hi; ++i) nodes.push_back({i, i + 1});
        std::vector<bool> gone(nodes.size());
        for (const Merge merge : tree_merges(C, nodes)) {
          ASSERT_FALSE(gone[merge.into] || gone[merge.from]);
          ASSERT_EQ(nodes[merge.into].hi, nodes[merge.from].lo);
          nodes[merge.into].hi = nodes[merge.from].hi;
          gone[merge.from] = true;
        }
        std::vector<Node> left;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
          if (!gone[i]) left.push_back(nodes[i]);
        }
        ASSERT_EQ(left, tree_cover(C, lo, hi)) << C << ", " << lo << ", " << hi;
      }
    }
  }
}

TEST(tree, shape_is_the_documented_one) {
  EXPECT_EQ(tree_middle({0, 5}), 3);
  EXPECT_EQ(tree_middle({3, 7}), 5);
  EXPECT_EQ(tree_cover(24, 0, 24), (std::vector<Node>{{0, 24}}));
  EXPECT_EQ(tree_cover(24, 8, 16), (std::vector<Node>{{8, 9}, {9, 12}, {12, 15}, {15, 16}}));
}

TEST(tree, what_is_no_range_or_no_node_is_refused) {
  EXPECT_EQ(caught<ShapeError>([] { tree_cover(4, 2, 5); }),
            "tree_cover: leaves [2, 5) of 4: expected a range within [0, 4)");
  EXPECT_THROW(tree_cover(4, 3, 2), ShapeError);
  EXPECT_THROW(tree_cover(4, -1, 2), ShapeError);
  const std::vector<Node> gap{{0, 1}, {2, 3}};
  EXPECT_EQ(caught<ShapeError>([&] { tree_merges(4, gap); }),
            "tree_merges: node [0, 1) is followed by [2, 3): expected ascending nodes without gaps");
  const std::vector<Node> crossing{{1, 3}};
  EXPECT_EQ(caught<ShapeError>([&] { tree_merges(4, crossing); }),
            "tree_merges: a node [1, 3): expected one of the tree over 4 leaves");
  const std::vector<Node> beyond{{4, 5}};
  EXPECT_THROW(tree_merges(4, beyond), ShapeError);
  EXPECT_TRUE(tree_cover(0, 0, 0).empty());
  EXPECT_TRUE(tree_merges(4, {}).empty());
}

// The walk gives the root's bits in few buffers, and each buffer is only ever read after it was written.
TEST(tree, walk_sums_like_the_tree) {
  for (index_t C = 1; C <= 40; ++C) {
    const std::vector<double> leaves = sensitive_leaves(C);
    std::vector<double> buffer(static_cast<std::size_t>(tree_buffers(C)), std::nan(""));
    index_t next = 0;
    tree_walk(
        {0, C},
        [&](index_t i, index_t p) {
          EXPECT_EQ(i, next++);
          buffer.at(p) = leaves[i];
        },
        [&](index_t from, index_t into) { buffer.at(into) += buffer.at(from); });
    EXPECT_EQ(next, C);
    EXPECT_TRUE(same_bits(buffer[0], recursive_sum(leaves, 0, C))) << C;
  }
}

}  // namespace
