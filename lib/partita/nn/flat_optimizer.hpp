// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/optimizer.hpp>
#include <type_traits>

namespace partita::nn {

/// An update rule with its state over one flat range of parameters. For models stored in 16 bits it keeps the master
/// weights, in float, of which the model's are a rounded copy.
///
/// Memory   optimizer_buffers(options) buffers as long as the range, in accumulate_t<Scalar>; one more for 16 bits.
///          step() allocates nothing and does not fence.
template <class Scalar>
class FlatOptimizer {
 public:
  /// For these parameters, whose values master weights begin with. Enqueued; allocates.
  FlatOptimizer(const Exec& exec, const kernels::OptimizerOptions& options, double learning_rate,
                std::type_identity_t<ConstVector<Scalar>> parameters)
      : options_(options), state_("partita::nn::FlatOptimizer::state") {
    const std::size_t n = parameters.extent(0);
    if (kernels::optimizer_needs_m(options)) m_ = Vector<Real>("partita::nn::FlatOptimizer::m", n);
    if (kernels::optimizer_needs_v(options)) v_ = Vector<Real>("partita::nn::FlatOptimizer::v", n);
    if constexpr (has_master) {
      master_ = Vector<Real>("partita::nn::FlatOptimizer::master", n);
      kernels::cast<Real, Scalar>(exec, parameters, master_);
    }
    kernels::optimizer_set_learning_rate(exec, learning_rate, state_);
  }

  /// For the steps from here on. Enqueued; no allocation.
  void set_learning_rate(const Exec& exec, double rate) const {
    kernels::optimizer_set_learning_rate(exec, rate, state_);
  }

  /// Where loss scaling and clipping tell the next step what to do (loss_scale_update, optimizer_clip).
  kernels::OptimizerStateView state() const { return state_; }

  /// parameters (n), updated in place from gradients (n).
  void step(const Exec& exec, ConstVector<Scalar> gradients, Vector<Scalar> parameters) const {
    kernels::optimizer_advance(exec, options_, state_);
    if constexpr (has_master)
      kernels::optimizer_update<Scalar>(exec, options_, state_, gradients, master_, m_, v_, parameters);
    else
      kernels::optimizer_update<Scalar>(exec, options_, state_, gradients, parameters, m_, v_);
  }

 private:
  using Real = accumulate_t<Scalar>;
  static constexpr bool has_master = !std::is_same_v<Real, Scalar>;

  kernels::OptimizerOptions options_;
  kernels::OptimizerStateView state_;
  Vector<Real> m_;
  Vector<Real> v_;
  Vector<Real> master_;  // 16 bits only
};

}  // namespace partita::nn
