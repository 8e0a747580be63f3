// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <utility>
#include <vector>

#include <partita/parallel/server/gradient_store.hpp>
#include <partita/parallel/server/learner.hpp>
#include <partita/parallel/server/protocol.hpp>

namespace partita::parallel::server {

/// How gradients come to a server with so many keys, whatever carries them.
template <class Scalar>
GradientShape gradient_shape(const Learner<Scalar>& learner, const Rules& rules, int workers, index_t keys);

/// What is known of an update that is under way, beside the sum of its gradients.
class PendingUpdate {
 public:
  /// losses   Sums over the labels of the gradient's pieces; none where another server tells the loss.
  void add(int worker, index_t samples, index_t staleness, std::span<const double> losses);

  index_t samples() const { return samples_; }
  /// Mean of its gradients. Needs one.
  double staleness() const { return static_cast<double>(staleness_) / static_cast<double>(losses_.size()); }
  /// Mean over so many labels of each sample. Gradients of one batch are added in the order of its rows, as a run
  /// without servers does; else in the order in which they came.
  double loss(const Rules& rules, index_t labels);

 private:
  std::vector<std::pair<int, std::vector<double>>> losses_;  // of each gradient
  index_t staleness_ = 0, samples_ = 0;
};

}  // namespace partita::parallel::server
