// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/nn/gradient_sum.hpp>
#include <partita/nn/observer.hpp>
#include <partita/nn/progress.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn {

/// Whose weights a step reads, what becomes of a gradient that is complete here, and which ranges this rank updates.
template <class Scalar>
class Exchange : public Progress {
 public:
  /// The weights that the step reads: its own, pulled, or stashed ones. The reference stays good for the step.
  virtual const Window<const Scalar>& weights(const Exec& exec, index_t step) = 0;
  /// After the pass: sees to it that gradients() are those of the global batch. Collective where ranks share it.
  virtual void finish(const Exec& exec, Observer& observer) = 0;
  /// Bytes that finish() hands in: what its moment says.
  virtual index_t bytes() const { return 0; }
  /// Summed gradients, and behind them the batch's statistics; complete after finish on the owned ranges.
  virtual ConstVector<Sum<Scalar>> gradients() const = 0;
  /// After the update: what others must learn of it.
  virtual void publish(const Exec& /*exec*/, Observer& /*observer*/) {}
};

/// One rank alone: nothing is exchanged.
template <class Scalar>
class NoExchange final : public Exchange<Scalar> {
 public:
  NoExchange(ConstVector<Scalar> parameters, const GradientSum<Sum<Scalar>>& sum) : weights_(parameters), sum_(sum) {}

  const Window<const Scalar>& weights(const Exec&, index_t) override { return weights_; }
  void finish(const Exec&, Observer&) override {}
  ConstVector<Sum<Scalar>> gradients() const override { return sum_.node(0); }

 private:
  Window<const Scalar> weights_;
  const GradientSum<Sum<Scalar>>& sum_;
};

}  // namespace partita::nn
