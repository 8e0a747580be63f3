// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/tree.hpp>
#include <partita/nn/destination.hpp>
#include <partita/nn/division.hpp>
#include <partita/nn/memory.hpp>

namespace partita::nn {

/// How the gradients of a rank's pieces become one, and where they are until then. Ranges are of the flat gradient:
/// first the weights, then the batch's statistics. Sums are in fp32 for models of 16 bits.
///
/// Pieces come in ascending order, unit by unit. Nothing here allocates or fences.
template <class Real>
class GradientSum {
 public:
  virtual ~GradientSum() = default;

  /// Called right before a unit's backward_weights of a piece: where its weight gradients go. The unit stores to all
  /// that it reads (Unit::reads()): of a tied table its head does so first, and the owner adds to that, so both need
  /// the same place and nothing may come over it in between. Good until the next call.
  virtual Destination<Real> destination(const Exec& exec, index_t piece, index_t unit) = 0;
  /// Where the batch statistics of a piece go: a window of all of them, counted from the first one.
  virtual Destination<Real> statistics(index_t piece) = 0;
  /// The gradient of a range of a piece is in its destination: adds what can be added. A unit's own ranges after its
  /// backward_weights, a stage's statistics after its pass. True when the range is complete: Progress::ready.
  virtual bool fold(const Exec& exec, index_t piece, Range range) = 0;
};

/// One buffer as long as the flat gradient, in which pieces are added one after the other (fast mode), or some of them
/// as nodes of the tree over the batch's chunks (deterministic mode), which an exchange then merges over ranks. A range
/// is complete once, after the last piece.
///
/// Memory   n = weights + statistics elements; in deterministic mode the nodes that the rank's chunks fill and a stack
///          for the sums under way, at most 2 log2(chunks) times n.
template <class Real>
class FlatGradientSum final : public GradientSum<Real> {
 public:
  FlatGradientSum(index_t weights, index_t statistics, const Division& division);

  Destination<Real> destination(const Exec& exec, index_t piece, index_t unit) override;
  Destination<Real> statistics(index_t piece) override;
  bool fold(const Exec& exec, index_t piece, Range range) override;

  /// Bytes of what it has allocated, and the same in advance.
  index_t allocated() const { return bytes_of(buffers_); }
  static index_t bytes(index_t weights, index_t statistics, const Division& division);

  /// Fast mode: 1. Deterministic mode: nodes that my chunks fill, ascending.
  index_t nodes() const { return nodes_; }
  Vector<Real> node(index_t k) const;
  /// All of them, one after the other.
  Vector<Real> all_nodes() const;
  /// Of all of them these elements, size() from one node to the next.
  ConstVector<Real> of_all_nodes(Range range) const {
    const index_t extent = nodes_ == 0 ? 0 : (nodes_ - 1) * size() + range.extent;
    return {buffers_.data() + range.offset, static_cast<std::size_t>(extent)};
  }
  const std::vector<Node>& cover() const { return cover_; }
  /// Elements of a node.
  index_t size() const { return weights_ + statistics_; }
  /// The two parts of a flat gradient.
  ConstVector<Real> weights_of(const ConstVector<Real>& flat) const {
    return Window<const Real>(flat).vector(weights());
  }
  ConstVector<Real> statistics_of(const ConstVector<Real>& flat) const {
    return Window<const Real>(flat).vector(tail());
  }

 private:
  struct Place {
    index_t buffer;  // where the leaf is put
    index_t merges;  // that follow: buffer - 1 += buffer, and so on down
  };
  Range weights() const { return {0, weights_}; }
  Range tail() const { return {weights_, statistics_}; }
  Destination<Real> leaf(index_t piece, Range part) const;

  index_t weights_, statistics_, nodes_ = 1;
  std::vector<Place> places_;  // of the pieces; fast mode: all 0
  std::vector<Node> cover_;
  bool chain_;
  Vector<Real> buffers_;  // (buffers, size)
};

}  // namespace partita::nn
