// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/loss.hpp>
#include <partita/kernels/loss_scale.hpp>
#include <partita/nn/flat_optimizer.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

struct TrainerOptions {
  double clip_norm = 0;                  ///< largest norm of a step's gradient; 0: not clipped
  kernels::LossScaleOptions loss_scale;  ///< of models in fp16
};

/// Training on one rank, nothing communicated: what every strategy is compared with.
///
/// Memory   that of the model, planned here for `rows` rows, and of the optimizer. A step allocates nothing.
template <class Scalar>
class Trainer {
 public:
  Trainer(Model<Scalar>& model, kernels::Context& context, FlatOptimizer<Scalar> optimizer, index_t rows,
          const TrainerOptions& options = {});

  /// One step: forward, cross-entropy averaged over the labels, backward, clipping, update. In fp16 the loss is scaled,
  /// and a step whose gradient overflowed changes nothing but the scale.
  ///
  /// Shapes   x (B, inputs), or empty and tokens (B, T);   label (B R), R labels a row: each row of the model's output
  ///          is R rows of scores   ->   loss_sum (), the sum over the labels, overwritten.
  /// Runs     enqueued on context.exec(); no fence.
  void step(ConstMatrix<Scalar> x, ConstMatrix<std::int32_t> tokens, ConstVector<std::int32_t> label,
            Kokkos::View<double, Memory> loss_sum);

  /// The scale of the next step's loss and the steps skipped so far (fp16; else 1 and 0).
  kernels::LossScaleView loss_scale() const { return loss_scale_; }

  /// Floating-point operations of a step on B rows, as cost.hpp counts them.
  double step_flop(index_t B) const { return model_.forward_flop(B) + model_.backward_flop(B); }

 private:
  static constexpr bool scales_loss = std::is_same_v<Scalar, float16>;  // bfloat16 has the exponents of float

  Model<Scalar>& model_;
  kernels::Context& context_;
  FlatOptimizer<Scalar> optimizer_;
  TrainerOptions options_;
  kernels::LossScaleView loss_scale_;
  Kokkos::View<double, Memory> norm_squared_;
  Observer observer_;
  std::uint64_t steps_ = 0;
};

}  // namespace partita::nn
