// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/tree.hpp>
#include <partita/parallel/server/sparse_table.hpp>

namespace partita::parallel::server {

/// A gradient as a worker has it.
template <class Scalar>
struct Gradient {
  /// (nodes, window), one node after the other, with scale 1 / batch: until the learner's next one.
  ConstVector<nn::Sum<Scalar>> nodes;
  std::span<const double> losses;  ///< sums over the labels of its pieces, ascending
  index_t samples = 0;
};

/// What makes gradients of weights: a model and its data, or a formula. A worker is a window of weights, a number that
/// says which samples are its own, and nothing else: one learner serves all workers of a process.
template <class Scalar>
class Learner {
 public:
  virtual ~Learner() = default;
  /// Weights.
  virtual index_t keys() const = 0;
  /// Of a sparse model, whose gradients are windows of some of its rows.
  virtual SparseTable table() const { return {}; }
  /// Rows that the worker's gradient number `clock` touches; none of a dense model.
  virtual TouchedRows touched(int /*worker*/, index_t /*clock*/) { return {}; }
  /// Weights that a worker has: all of them, or those that it touches.
  index_t window() const { return table().window(keys()); }
  /// Samples of a global batch, and labels of each.
  virtual index_t batch() const = 0;
  virtual index_t labels() const { return 1; }
  /// Deterministic mode: chunks of the batch, and the nodes of its tree that a worker has; 0 and none in fast mode.
  virtual index_t leaves() const { return 0; }
  virtual std::vector<Node> cover(int /*worker*/) const { return {}; }
  /// Samples of a worker's gradients.
  virtual index_t samples(int worker) const = 0;
  /// The worker's gradient number `clock` at these weights. Enqueued, but for the losses, which are on the host.
  virtual Gradient<Scalar> gradient(int worker, index_t clock, const nn::Window<const Scalar>& weights) = 0;
};

}  // namespace partita::parallel::server
