// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/index.hpp>

// The binary tree of deterministic sums. A dimension that a strategy may split is cut into C chunks, the leaves [0, C).
// A node is a range of leaves (lo, hi); when it holds more than one, its children are (lo, mid) and (mid, hi) with
//
//     mid = lo + (hi - lo + 1) / 2        (the left child is the longer one)
//
// and its value is value(left) + value(right). The shape depends on C alone, so whoever adds, on however many ranks,
// gets the same bits.

namespace partita {

/// Leaves [lo, hi) of the tree.
struct Node {
  index_t lo = 0;
  index_t hi = 0;

  friend constexpr bool operator==(const Node&, const Node&) = default;
};

constexpr index_t tree_middle(Node node) { return node.lo + (node.hi - node.lo + 1) / 2; }

/// One addition: buffer[into] += buffer[from], into < from.
struct Merge {
  index_t into = 0;
  index_t from = 0;

  friend constexpr bool operator==(const Merge&, const Merge&) = default;
};

/// The largest nodes of the tree over C leaves that together cover [lo, hi), in order; at most 2 log2(C) of them.
///
/// Throws   ShapeError unless 0 <= lo <= hi <= C. Nothing for an empty range.
std::vector<Node> tree_cover(index_t C, index_t lo, index_t hi);

/// The additions that merge a list of nodes as far as the tree over C leaves allows.
///
/// nodes    Nodes of the tree, ascending, without gaps: what some ranks hold, one buffer each.
/// Returns  Additions in an order that may be executed as listed. Afterwards the buffers that were never a `from` hold
///          tree_cover(C, first leaf, last leaf): when the list covers [0, C), buffer 0 holds the root.
/// Throws   ShapeError when an entry is not a node of the tree, or the list has a gap.
std::vector<Merge> tree_merges(index_t C, std::span<const Node> nodes);

/// Buffers that tree_walk needs for C leaves: 1 + ceil(log2 C), 1 for none.
constexpr index_t tree_buffers(index_t C) {
  index_t buffers = 1;
  for (index_t leaves = 1; leaves < C; leaves *= 2) ++buffers;
  return buffers;
}

/// Sums the leaves of a node in few buffers, without allocating: leaf(i, p) must put leaf i into buffer p, and
/// add(from, into) add buffer `from` to buffer `into`. The node's value is in buffer `place` at the end.
///
///     C = 5:   leaf(0, 0) leaf(1, 1) add(1, 0)  leaf(2, 1) add(1, 0)  leaf(3, 1) leaf(4, 2) add(2, 1)  add(1, 0)
template <class Leaf, class Add>
void tree_walk(Node node, const Leaf& leaf, const Add& add, index_t place = 0) {
  if (node.hi - node.lo == 1) return leaf(node.lo, place);
  tree_walk({node.lo, tree_middle(node)}, leaf, add, place);
  tree_walk({tree_middle(node), node.hi}, leaf, add, place + 1);
  add(place + 1, place);
}

/// The value of the root over leaves.size() leaves; 0 when there are none.
double tree_sum(std::span<const double> leaves);

}  // namespace partita
