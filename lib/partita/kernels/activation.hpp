// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>
#include <type_traits>

#include <partita/core/types.hpp>

namespace partita::kernels {

enum class Activation { identity, relu, tanh, sigmoid };

std::string_view name(Activation activation);

/// act(z). relu keeps NaN: a diverged run must show.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar activate(Activation activation, Scalar z) {
  switch (activation) {
    case Activation::relu:
      return z < Scalar(0) ? Scalar(0) : z;
    case Activation::tanh:
      return Kokkos::tanh(z);
    case Activation::sigmoid:
      return Scalar(1) / (Scalar(1) + Kokkos::exp(-z));
    default:
      return z;
  }
}

/// act'(z) as a function of y = act(z); relu'(0) = 0.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar activate_slope(Activation activation, Scalar y) {
  switch (activation) {
    case Activation::relu:
      return y > Scalar(0) ? Scalar(1) : Scalar(0);
    case Activation::tanh:
      return Scalar(1) - y * y;
    case Activation::sigmoid:
      return y * (Scalar(1) - y);
    default:
      return Scalar(1);
  }
}

/// y = act(y), in place. Shapes y (B, N), rows may be padded. Enqueued; no fence, no allocation. Cost
/// cost::activation_forward.
template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, Matrix<Scalar> y);

/// dz = dy act'(z), written as a function of y = act(z), in place: dy becomes dz.
///
/// Shapes   y (B, N)   dy (B, N), overwritten; rows of both may be padded.
/// Runs     enqueued on exec; no fence, no allocation; nothing at all for identity.
/// Throws   ShapeError when the shapes differ.
/// Cost     cost::activation_backward.
/// Bits     element by element.
template <class Scalar>
void activation_backward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> y,
                         Matrix<Scalar> dy);

}  // namespace partita::kernels
