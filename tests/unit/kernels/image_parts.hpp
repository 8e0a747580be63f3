// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/tree.hpp>

#include "cut_sums.hpp"

// Images of which parts have some rows each, and the nodes of sums over their rows.

namespace partita::kernels::test {

/// Rows [first, end) of all images; `pitch` numbers a row.
template <class Scalar>
std::vector<Scalar> image_rows(const std::vector<Scalar>& images, index_t rows, index_t pitch, index_t first,
                               index_t end) {
  std::vector<Scalar> some;
  for (index_t i = 0; i < index_t(images.size()); ++i)
    if (i / pitch % rows >= first && i / pitch % rows < end) some.push_back(images[i]);
  return some;
}

/// Where parts of an image's rows begin and end: uneven, single rows, one without any.
inline const std::vector<std::vector<index_t>> row_cuts = {{0, 1, 2},    {0, 5, 6, 13}, {0, 3, 4, 5, 9, 11},
                                                           {0, 2, 2, 7}, {0, 8, 9},     {0, 1, 4, 8, 15, 16}};

/// The root of a sum over rows of which parts have nodes: sums_of(first, end, nodes) gives the sums of a part, a row of
/// `n` a node, whose leaves count from its first row.
template <class Sum, class SumsOf>
std::vector<Sum> root_of_parts(const std::vector<index_t>& cut, index_t n, const SumsOf& sums_of) {
  std::vector<Node> all;
  std::vector<std::vector<Sum>> values;
  for (std::size_t part = 1; part < cut.size(); ++part) {
    const index_t first = cut[part - 1], end = cut[part];
    const std::vector<Node> nodes = tree_cover(cut.back(), first, end);
    std::vector<Node> here;
    for (const Node& node : nodes) here.push_back({node.lo - first, node.hi - first});
    const std::vector<Sum> sums = sums_of(first, end, here);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      all.push_back(nodes[i]);
      values.emplace_back(sums.begin() + index_t(i) * n, sums.begin() + index_t(i + 1) * n);
    }
  }
  return merged(cut.back(), all, values);
}

}  // namespace partita::kernels::test
