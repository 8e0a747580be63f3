// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/types.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/context.hpp>

// Fully connected layer. Matrices are row-major; rows may be padded (stride(0) > extent(1)): parts of a buffer work.
// Scalar (float, double, bfloat16 or float16) is told by the outputs: give a subview its type,
// Matrix<float>(Kokkos::subview(...)), or name it, linear_forward<float>(...).

namespace partita::kernels {

/// y = act(x W^T + b).
///
/// Shapes   x (B, K)   W (N, K)   b (N)   ->   y (B, N), overwritten; any extent may be 0.
/// Runs     enqueued on context.exec(); no fence; allocates only at the first call with a shape.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::linear_forward.
/// Bits     portable: y(b, n) is an fma chain over ascending k from 0, then + b(n), then act,
///          in accumulate_t<Scalar>, rounded to 16 bits once: it depends on x(b, :), W(n, :) and b(n) alone.
template <class Scalar>
void linear_forward(Context& context, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y);

/// dx = dy W, where dy is the gradient before the activation (see activation_backward).
///
/// Shapes   dy (B, N)   W (N, K)   ->   dx (B, K), overwritten.
/// Runs     as linear_forward.
/// Cost     cost::linear_backward_input.
/// Bits     portable: dx(b, k) is an fma chain over ascending n from 0; it depends on dy(b, :) and W(:, k) alone.
template <class Scalar>
void linear_backward_input(Context& context, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx);

/// dW = dy^T x,  db = sum_b dy(b, :).
///
/// Shapes   x (B, K)   dy (B, N)   ->   dW (N, K)   db (N), both overwritten (zeros for B = 0).
/// Runs     as linear_forward.
/// Cost     cost::linear_backward_weights.
/// Bits     portable: dW(n, k) is an fma chain, db(n) a chain of additions, over ascending b from 0; db in any backend.
template <class Scalar>
void linear_backward_weights(Context& context, std::type_identity_t<ConstMatrix<Scalar>> x,
                             std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dW, Vector<Scalar> db);

}  // namespace partita::kernels
