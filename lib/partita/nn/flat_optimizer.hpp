// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/kernels/optimizer.hpp>

namespace partita::nn {

/// An update rule with its state over one flat range of parameters.
///
/// Memory   optimizer_buffers(options) buffers as long as the range. step() allocates nothing and does not fence.
template <class Scalar>
class FlatOptimizer {
 public:
  FlatOptimizer(const Exec& exec, const kernels::OptimizerOptions& options, double learning_rate, index_t elements)
      : options_(options), state_("partita::nn::FlatOptimizer::state") {
    if (kernels::optimizer_needs_m(options)) m_ = Vector<Scalar>("partita::nn::FlatOptimizer::m", elements);
    if (kernels::optimizer_needs_v(options)) v_ = Vector<Scalar>("partita::nn::FlatOptimizer::v", elements);
    kernels::optimizer_set_learning_rate(exec, learning_rate, state_);
  }

  /// For the steps from here on. Enqueued; no allocation.
  void set_learning_rate(const Exec& exec, double rate) const {
    kernels::optimizer_set_learning_rate(exec, rate, state_);
  }

  /// parameters (n), updated in place from gradients (n).
  void step(const Exec& exec, ConstVector<Scalar> gradients, Vector<Scalar> parameters) const {
    kernels::optimizer_advance(exec, options_, state_);
    kernels::optimizer_update<Scalar>(exec, options_, state_, gradients, parameters, m_, v_);
  }

 private:
  kernels::OptimizerOptions options_;
  kernels::OptimizerStateView state_;
  Vector<Scalar> m_;
  Vector<Scalar> v_;
};

}  // namespace partita::nn
