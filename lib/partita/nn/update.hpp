// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include <partita/kernels/loss_scale.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

struct UpdateOptions {
  kernels::OptimizerOptions optimizer = {};
  double learning_rate = 1e-3;
  double clip_norm = 0;                       ///< largest norm of a step's gradient; 0: not clipped
  kernels::LossScaleOptions loss_scale = {};  ///< of models in fp16
  double momentum = 0.1;                      ///< weight of a batch in the running statistics
};

/// From the gradient of a global batch to new weights: unscale, skip, clip, the optimizer's rule; then the running
/// statistics move towards the batch's. In fp16 a step whose gradient is not finite changes nothing but the loss scale.
///
/// Memory   the rule's buffers, and master weights for models of 16 bits, as long as the weights; one double for each
///          cell of the norm. A step allocates nothing and does not fence.
template <class Scalar>
class Update {
 public:
  /// Makes of the sum of squares over the cells that are here the one over all that are anywhere.
  using NormSum = std::function<void(const Exec&, Kokkos::View<double, Memory>)>;

  /// Of all of the model's weights. Enqueued; allocates.
  Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model, NormSum norm_sum = {});

  /// For the steps from here on. Enqueued; no allocation.
  void set_learning_rate(const Exec& exec, double rate) const;

  /// The factor of the next step's loss in device memory; empty but in fp16.
  Kokkos::View<const double, Memory> loss_scale() const;
  kernels::LossScaleView loss_scale_state() const { return loss_scale_; }

  /// Shapes   gradients (parameters + statistics): sums over the batch   ->   the model's weights and running
  ///          statistics, updated; norm (), overwritten: that of the gradient, unscaled, before clipping.
  void run(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, Kokkos::View<double, Memory> norm) const;

  /// Bytes that an update of `parameters` weights in `cells` cells allocates.
  static std::size_t bytes(const kernels::OptimizerOptions& optimizer, index_t parameters, index_t cells);

 private:
  static constexpr bool scales_loss = std::is_same_v<Scalar, float16>;  // bfloat16 has the exponents of float
  static constexpr bool has_master = !std::is_same_v<Sum<Scalar>, Scalar>;

  // Consecutive cells and the weights that they cover.
  struct Block {
    Range cells, weights;
  };
  void plan_blocks(const std::vector<kernels::NormCell>& cells);
  void square(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, Range cells) const;
  void optimize(const Exec& exec, ConstVector<Sum<Scalar>> gradients, Range weights) const;

  UpdateOptions options_;
  NormSum norm_sum_;
  Vector<Scalar> parameters_;
  Vector<Sum<Scalar>> running_;
  kernels::OptimizerStateView state_;
  kernels::LossScaleView loss_scale_;
  Vector<Sum<Scalar>> m_, v_, master_;
  Kokkos::View<kernels::NormCell*, Memory> cells_;
  Vector<double> squares_;     // of the cells
  std::vector<Block> blocks_;  // all weights, in order
  Kokkos::View<double, Memory> sum_;
};

}  // namespace partita::nn
