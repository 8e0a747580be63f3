// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/blocks.hpp>

#include "numbers.hpp"

// Sums in fixed blocks, as deterministic mode wants them: the tree over leaves, each the ordinary sum over its
// elements. Expected here from the definition: a recursion over lists of elements.

namespace partita::kernels::test {

/// The value of (low, high) of the tree: leaf(i) gives numbers.
template <class Leaf>
auto tree(index_t low, index_t high, const Leaf& leaf) {
  if (high - low == 1) return leaf(low);
  const index_t middle = low + (high - low + 1) / 2;
  auto sum = tree(low, middle, leaf);
  const auto right = tree(middle, high, leaf);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  return sum;
}

/// Nodes of all parts, added as the tree says.
template <class Real>
std::vector<Real> merged(index_t leaves, const std::vector<Node>& nodes, std::vector<std::vector<Real>> values) {
  for (const Merge& merge : tree_merges(leaves, nodes))
    for (std::size_t i = 0; i < values[merge.into].size(); ++i) values[merge.into][i] += values[merge.from][i];
  return values.front();
}

/// What a leaf adds, in order.
inline std::vector<index_t> elements(const Blocks& blocks, index_t n, index_t leaf) {
  std::vector<index_t> all;
  const index_t inner = n / blocks.outer;
  const Slice slice = partition(inner, blocks.leaves, leaf);
  for (index_t outer = 0; outer < blocks.outer; ++outer)
    for (index_t i = slice.offset; i < slice.end(); ++i) all.push_back(outer * inner + i);
  return all;
}

struct Cut {
  index_t n;
  Blocks blocks;
};
inline std::vector<Cut> cuts(index_t outer) {
  std::vector<Cut> all;
  for (index_t extent : {1, 3, 17, 33})
    for (index_t leaves : {1, 2, 3, 5, 40}) all.push_back({outer * extent, {leaves, outer}});
  return all;
}
inline std::string text(const Cut& c) {
  return std::to_string(c.n) + " in (" + std::to_string(c.blocks.outer) + ", .), leaves " +
         std::to_string(c.blocks.leaves);
}

template <class Scalar>
std::vector<Scalar> rounded(const std::vector<accumulate_t<Scalar>>& values) {
  return {values.begin(), values.end()};
}

using BlockScalars = ::testing::Types<float, double, bfloat16>;

}  // namespace partita::kernels::test
