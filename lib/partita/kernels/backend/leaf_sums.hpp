// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/tree.hpp>
#include <partita/core/types.hpp>

// Sums in fixed blocks inside a kernel, where a leaf is a number.

namespace partita::kernels::backend {

/// The first of a leaf's elements of n, or for `leaf` + 1 their end: partition(n, leaves, leaf) on a device, too.
KOKKOS_INLINE_FUNCTION index_t leaf_begin(index_t n, index_t leaves, index_t leaf) {
  const index_t longer = n % leaves;
  return leaf * (n / leaves) + (leaf < longer ? leaf : longer);
}

/// The tree of core/tree.hpp over leaf(0), leaf(1), ...
template <class Number, class Leaf>
KOKKOS_INLINE_FUNCTION Number tree_of(index_t leaves, const Leaf& leaf) {
  Number node[64];  // what is complete, from the left: no deeper than the tree
  node[0] = 0;
  int nodes = 0;
  for (index_t l = 0; l < leaves; ++l) {
    node[nodes++] = leaf(l);
    int ends = 0;  // nodes whose last leaf this is: the steps to the right that the way down to it ends with
    for (index_t low = 0, high = leaves; high - low > 1;) {
      const index_t middle = low + (high - low + 1) / 2;
      ends = l < middle ? 0 : ends + 1;
      (l < middle ? high : low) = middle;
    }
    for (; ends > 0; --ends, --nodes) node[nodes - 2] += node[nodes - 1];
  }
  return node[0];
}

/// A node of that tree: its shape depends on how many leaves it has, not on which.
template <class Number, class Leaf>
KOKKOS_INLINE_FUNCTION Number tree_of(Node node, const Leaf& leaf) {
  return tree_of<Number>(node.hi - node.lo, [&](index_t l) { return leaf(node.lo + l); });
}

}  // namespace partita::kernels::backend
