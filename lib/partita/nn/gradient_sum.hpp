// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/tree.hpp>
#include <partita/kernels/store.hpp>
#include <partita/nn/division.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn {

/// How the gradients of a rank's pieces become one: added one after the other into one buffer (fast mode), or as nodes
/// of the tree over the batch's chunks (deterministic mode), which an exchange then merges over ranks. Sums are in fp32
/// for models of 16 bits.
///
/// Memory   n elements; in deterministic mode the nodes that the rank's chunks fill and a stack for the sums under way,
///          at most 2 log2(chunks) times n.
template <class Real>
class GradientSum {
 public:
  GradientSum(index_t n, const Division& division);

  /// Where the backward pass of a piece puts its gradient, and whether it is added to what is there.
  Window<Real> leaf(index_t piece) const;
  kernels::Store store(index_t piece) const;

  /// The gradient of a range of a piece is in its leaf: adds what can be added. Pieces come in ascending order, range
  /// by range. True once for each range: after the last piece. Enqueued; no fence, no allocation.
  bool fold(const Exec& exec, index_t piece, Range range) const;

  /// Fast mode: 1. Deterministic mode: nodes that my chunks fill, ascending.
  index_t nodes() const { return nodes_; }
  Vector<Real> node(index_t k) const;
  /// All of them, one after the other.
  Vector<Real> all_nodes() const;
  const std::vector<Node>& cover() const { return cover_; }
  index_t size() const { return n_; }

 private:
  struct Place {
    index_t buffer;  // where the leaf is put
    index_t merges;  // that follow: buffer - 1 += buffer, and so on down
  };

  index_t n_, nodes_ = 1;
  std::vector<Place> places_;  // of the pieces; fast mode: all 0
  std::vector<Node> cover_;
  bool chain_;
  Vector<Real> buffers_;  // (buffers, n)
};

}  // namespace partita::nn
