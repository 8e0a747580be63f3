// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/tree.hpp>

#include <string>

#include <partita/core/error.hpp>

namespace partita {
namespace {

std::string range_name(index_t lo, index_t hi) { return "[" + std::to_string(lo) + ", " + std::to_string(hi) + ")"; }

void cover(Node node, index_t lo, index_t hi, std::vector<Node>& result) {
  if (node.hi <= lo || hi <= node.lo) return;
  if (lo <= node.lo && node.hi <= hi) {
    result.push_back(node);
    return;
  }
  const index_t middle = tree_middle(node);
  cover({node.lo, middle}, lo, hi, result);
  cover({middle, node.hi}, lo, hi, result);
}

// Walks the tree beside the list: both are in order, so the next list entry either is this node or lies below it.
struct Assembler {
  std::span<const Node> nodes;
  index_t next = 0;
  std::vector<Merge> merges;

  /// The index of the buffer that holds `node` once the merges so far are done, or -1 when the list does not cover it.
  index_t assemble(Node node) {
    if (next == std::ssize(nodes) || node.hi <= nodes[next].lo || nodes.back().hi <= node.lo) return -1;
    if (nodes[next] == node) return next++;
    if (node.hi - node.lo == 1) return -1;
    const index_t middle = tree_middle(node);
    const index_t left = assemble({node.lo, middle});
    const index_t right = assemble({middle, node.hi});
    if (left < 0 || right < 0) return -1;
    merges.push_back({left, right});
    return left;
  }
};

double sum(const double* leaf, Node node) {
  if (node.hi - node.lo == 1) return leaf[node.lo];
  const index_t middle = tree_middle(node);
  return sum(leaf, {node.lo, middle}) + sum(leaf, {middle, node.hi});
}

}  // namespace

std::vector<Node> tree_cover(index_t C, index_t lo, index_t hi) {
  if (lo < 0 || hi < lo || C < hi) {
    refuse<ShapeError>("tree_cover", "leaves " + range_name(lo, hi) + " of " + std::to_string(C),
                       "a range within " + range_name(0, C));
  }
  std::vector<Node> result;
  if (lo < hi) cover({0, C}, lo, hi, result);
  return result;
}

std::vector<Merge> tree_merges(index_t C, std::span<const Node> nodes) {
  if (nodes.empty()) return {};
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (nodes[i].hi != nodes[i + 1].lo) {
      refuse<ShapeError>("tree_merges",
                         "node " + range_name(nodes[i].lo, nodes[i].hi) + " is followed by " +
                             range_name(nodes[i + 1].lo, nodes[i + 1].hi),
                         "ascending nodes without gaps");
    }
  }
  Assembler assembler{nodes, 0, {}};
  if (C > 0) assembler.assemble({0, C});
  if (assembler.next != std::ssize(nodes)) {
    const Node node = nodes[assembler.next];
    refuse<ShapeError>("tree_merges", "a node " + range_name(node.lo, node.hi),
                       "one of the tree over " + std::to_string(C) + " leaves");
  }
  return std::move(assembler.merges);
}

double tree_sum(std::span<const double> leaves) {
  return leaves.empty() ? 0.0 : sum(leaves.data(), {0, std::ssize(leaves)});
}

}  // namespace partita
