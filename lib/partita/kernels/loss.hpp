// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

namespace partita::kernels {

/// Loss of one row of scores z (V) with label t:
///   cross_entropy   log sum_v exp(z_v) - z_t                 (softmax fused, shifted by the maximum)
///   mse             1/V sum_v (z_v - [v = t])^2              (one-hot target)
/// The label ignore_index counts for nothing: the row's loss is 0, its gradient is 0, it is never correct. Any other
/// label outside [0, V) makes the row's loss and the row's gradient NaN, so that no weight moves unseen.
enum class Loss { cross_entropy, mse };

inline constexpr std::int32_t ignore_index = -1;

std::string_view name(Loss loss);

struct LossOptions {
  Loss kind = Loss::cross_entropy;
  index_t vocabulary_blocks = 1;  ///< leaves of the sums over V: see Blocks
};

/// loss_sum = sum_b loss(z(b, :), label(b)),   dlogits = scale * dloss(z(b, :), label(b)) / dz(b, :).
///
/// Shapes   logits (B, V)   label (B)   factor () or empty   ->   dlogits (B, V), loss_sum (); both overwritten.
///          dlogits may be logits. Scalar is float, double, bfloat16 or float16.
/// Units    loss_sum is the sum over rows, not scaled. For the mean gradient of a global batch, scale = 1 / labels that
///          count in it. `factor`, in device memory, multiplies the scale: loss_scale_value.
/// Runs     enqueued on context.exec(); no fence; scratch of 2 B doubles from the context.
/// Throws   ShapeError naming the operand and both extents; for fewer than one block.
/// Cost     cost::loss_forward_backward.
/// Bits     a row depends on itself alone: 32 lanes (lane l adds v = l, l + 32, ...) joined by a binary tree, in
///          double, or a tree of such sums over blocks of v; rows are added in ascending order, in double.
template <class Scalar>
void loss_forward_backward(Context& context, const LossOptions& options,
                           std::type_identity_t<ConstMatrix<Scalar>> logits, ConstVector<std::int32_t> label,
                           double scale, Matrix<Scalar> dlogits, Kokkos::View<double, Memory> loss_sum,
                           Kokkos::View<const double, Memory> factor = {});

/// loss_sum as above; correct = number of rows whose largest score (the first of equals) is the label's.
/// Both overwritten; all else as above.
template <class Scalar>
void loss_forward(Context& context, const LossOptions& options, ConstMatrix<Scalar> logits,
                  ConstVector<std::int32_t> label, Kokkos::View<double, Memory> loss_sum,
                  Kokkos::View<index_t, Memory> correct);

/// The same for scores that were not declared const.
template <class Scalar>
void loss_forward(Context& context, const LossOptions& options, Matrix<Scalar> logits, ConstVector<std::int32_t> label,
                  Kokkos::View<double, Memory> loss_sum, Kokkos::View<index_t, Memory> correct) {
  loss_forward<Scalar>(context, options, ConstMatrix<Scalar>(logits), label, loss_sum, correct);
}

}  // namespace partita::kernels
