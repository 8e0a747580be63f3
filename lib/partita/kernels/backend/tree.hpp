// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/elementwise.hpp>

// Sums in fixed blocks, for kernels whose leaves are arrays: each leaf is the ordinary kernel on its own elements.

namespace partita::kernels::backend {

/// Throws   unless `n`, what the sum is over, can be cut so.
inline void require_blocks(const char* function, const char* what, const Blocks& blocks, index_t n) {
  if (blocks.leaves >= 1 && blocks.outer >= 1 && n % blocks.outer == 0) return;
  const std::string outer = std::to_string(blocks.outer);
  refuse<ShapeError>(function,
                     "a sum over " + std::to_string(n) + " " + what + " cannot be cut into " +
                         std::to_string(blocks.leaves) + " blocks of (" + outer + ", " + what + " / " + outer + ")",
                     "at least 1 of each, and a divisor");
}

/// Rows (samples, tokens) as a sum over them is cut.
/// Throws   as require_blocks.
inline Blocks blocks_of_rows(const char* function, const TokenBlocks& options, index_t rows) {
  if (options.token_blocks == 1) return {};
  if (options.tokens < 1 || rows % options.tokens != 0)
    refuse<ShapeError>(function, std::to_string(rows) + " rows, tokens is " + std::to_string(options.tokens),
                       "rows (B T)");
  const Blocks blocks{options.token_blocks, rows == 0 ? 1 : rows / options.tokens};
  require_blocks(function, "rows", blocks, rows);
  return blocks;
}

/// Throws   unless `node` is of the leaves that are here.
inline void require_node(const char* function, index_t leaves, Node node) {
  if (0 <= node.lo && node.lo < node.hi && node.hi <= leaves) return;
  refuse<ShapeError>(function, "a node over leaves " + std::to_string(node.lo) + " to " + std::to_string(node.hi),
                     "some of the " + std::to_string(leaves) + " that are here");
}

/// Throws   unless rows of an image can be cut so: images are what is outside of them, without being told.
inline void require_rows(const char* function, const Blocks& rows) {
  if (rows.leaves < 1 || rows.outer != 1)
    refuse<ShapeError>(function,
                       "a sum over the rows of images cannot be cut into " + std::to_string(rows.leaves) +
                           " blocks of (" + std::to_string(rows.outer) + ", rows)",
                       "at least 1, and 1");
}

/// Throws   as require_rows, and unless `rows` are (images, pixels).
inline void require_images_of(const char* function, const Blocks& blocks, index_t pixels, index_t rows) {
  require_rows(function, blocks);
  if (pixels < 1 || rows % pixels != 0)
    refuse<ShapeError>(function, std::to_string(rows) + " rows, an image has " + std::to_string(pixels) + " pixels",
                       "rows (images, pixels)");
}

/// Leaves of a sum over `rows` that are (images, pixels): where there is one, it does not matter whether they are.
/// Throws   as require_images_of.
inline index_t leaves_of_images(const char* function, const Blocks& blocks, index_t pixels, index_t rows) {
  require_images_of(function, blocks, blocks.leaves == 1 ? 1 : pixels, rows);
  return blocks.leaves;
}

/// Throws   unless each is, and has a row of sums.
inline void require_nodes(const char* function, index_t leaves, std::span<const Node> nodes, std::size_t rows) {
  if (nodes.size() != rows)
    refuse<ShapeError>(function, std::to_string(nodes.size()) + " nodes, sums has " + std::to_string(rows) + " rows",
                       "a row for each node");
  for (const Node& node : nodes) require_node(function, leaves, node);
}

/// The elements of a leaf: `outer` times `extent` of them, the first of them at `first`, then one `pitch` on.
struct Leaf {
  index_t outer, pitch, first, extent;

  KOKKOS_INLINE_FUNCTION index_t size() const { return outer * extent; }
};

inline Leaf whole_leaf(index_t n) { return {1, n, 0, n}; }

inline Leaf leaf_of(const Blocks& blocks, index_t n, index_t leaf) {
  if (blocks.leaves == 1) return whole_leaf(n);
  const index_t pitch = n / blocks.outer;
  const Slice slice = partition(pitch, blocks.leaves, leaf);
  return {blocks.outer, pitch, slice.offset, slice.extent};
}

template <class Real>
std::size_t leaves_bytes(index_t leaves, index_t n) {
  return std::size_t(tree_buffers(leaves) * n) * sizeof(Real);
}

/// A node of the tree over leaves of n numbers each, in buffers of leaves_bytes; its value is in the first. fill(leaf,
/// to) must enqueue what overwrites to[0, n).
template <class Real, class Fill>
void sum_leaves(const Exec& exec, Node node, index_t n, Real* buffers, const Fill& fill) {
  tree_walk(
      node, [&](index_t leaf, index_t place) { fill(leaf, buffers + place * n); },
      [&](index_t from, index_t into) {
        add<Real>(exec, ConstVector<Real>(buffers + from * n, std::size_t(n)),
                  Vector<Real>(buffers + into * n, std::size_t(n)));
      });
}
template <class Real, class Fill>
void sum_leaves(const Exec& exec, index_t leaves, index_t n, Real* buffers, const Fill& fill) {
  sum_leaves<Real>(exec, Node{0, leaves}, n, buffers, fill);
}

}  // namespace partita::kernels::backend
