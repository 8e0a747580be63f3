// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

// Softmax of rows. Scalar is float, double, bfloat16 or float16; rows may be padded.

namespace partita::kernels {

/// y(b, c) = exp(x(b, c) - max_c x(b, :)) / sum_c exp(x(b, c) - max_c x(b, :)).
///
/// Shapes   x (B, C)   ->   y (B, C), overwritten; may be x. Any extent may be 0.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::softmax_forward.
/// Bits     a row depends on itself alone: sums of 32 lanes, added by halves (backend/rows.hpp).
template <class Scalar>
void softmax_forward(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<Scalar> y);

/// dx(b, c) = y(b, c) (dy(b, c) - sum_c y(b, c) dy(b, c)). All that is not said is as above.
///
/// Shapes   y, dy (B, C)   ->   dx (B, C), overwritten; may be dy.
/// Cost     cost::softmax_backward.
template <class Scalar>
void softmax_backward(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> y,
                      std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

}  // namespace partita::kernels
