// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/math.hpp>

namespace partita::kernels {

/// Functions of z, and what they are called in decks:
///   relu       max(z, 0)                    gelu        z Phi(z), Phi(z) = (1 + erf(z / sqrt 2)) / 2
///   tanh       tanh z                       gelu_tanh   z sigmoid(2 u), u = sqrt(2 / pi) (z + 0.044715 z^3)
///   sigmoid    1 / (1 + e^-z)               silu        z sigmoid(z)
/// where z sigmoid(2 u) is z (1 + tanh u) / 2.
///
/// Source   Hendrycks and Gimpel, "Gaussian error linear units", 2016.
enum class Activation { identity, relu, tanh, sigmoid, gelu, gelu_tanh, silu };

std::string_view name(Activation activation);

/// Whether act'(z) is a function of act(z), so that a backward pass needs no z: not for gelu, gelu_tanh and silu.
constexpr bool slope_from_output(Activation activation) {
  return activation != Activation::gelu && activation != Activation::gelu_tanh && activation != Activation::silu;
}

namespace detail {

/// float or double; without branches.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar sigmoid(Scalar z) {
  return Scalar(1) / (Scalar(1) + math::exp(-z));
}
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar normal_distribution(Scalar z) {
  return Scalar(0.5) * (Scalar(1) + math::erf(z * Scalar(0.70710678118654752)));
}
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar normal_density(Scalar z) {
  return math::exp(Scalar(-0.5) * (z * z)) * Scalar(0.39894228040143268);
}
inline constexpr double gelu_tanh_outer = 1.5957691216057308;  // 2 sqrt(2 / pi)
inline constexpr double gelu_tanh_inner = 0.044715;
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar gelu_tanh_weight(Scalar z) {
  return sigmoid(Scalar(gelu_tanh_outer) * z * (Scalar(1) + Scalar(gelu_tanh_inner) * (z * z)));
}

}  // namespace detail

/// act(z) for float or double. relu keeps NaN: a diverged run must show.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar activate(Activation activation, Scalar z) {
  switch (activation) {
    case Activation::relu:
      return z < Scalar(0) ? Scalar(0) : z;
    case Activation::tanh:
      return math::tanh(z);
    case Activation::sigmoid:
      return detail::sigmoid(z);
    case Activation::gelu:
      return z * detail::normal_distribution(z);
    case Activation::gelu_tanh:
      return z * detail::gelu_tanh_weight(z);
    case Activation::silu:
      return z * detail::sigmoid(z);
    default:
      return z;
  }
}

/// act'(z) as a function of y = act(z), where slope_from_output; relu'(0) = 0.
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

/// act'(z); relu'(0) = 0.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar activate_slope_from_input(Activation activation, Scalar z) {
  switch (activation) {
    case Activation::gelu:
      return detail::normal_distribution(z) + z * detail::normal_density(z);
    case Activation::gelu_tanh: {
      const Scalar weight = detail::gelu_tanh_weight(z);
      const Scalar inner =
          Scalar(detail::gelu_tanh_outer) * (Scalar(1) + Scalar(3 * detail::gelu_tanh_inner) * (z * z));
      return weight + z * (weight * (Scalar(1) - weight)) * inner;
    }
    case Activation::silu: {
      const Scalar weight = detail::sigmoid(z);
      return weight * (Scalar(1) + z * (Scalar(1) - weight));
    }
    default:
      return activate_slope(activation, activate(activation, z));
  }
}

// Kernels. Scalar is float, double, bfloat16 or float16, computed in accumulate_t<Scalar> and rounded once. Rows of
// every operand may be padded. Enqueued on exec; no fence, no allocation. Element by element.

/// y = act(y), in place: nothing at all for identity.
///
/// Shapes   y (B, N), overwritten.
/// Cost     cost::activation_forward.
template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, Matrix<Scalar> y);

/// y = act(x).
///
/// Shapes   x (B, N)   ->   y (B, N), overwritten; y may be x.
/// Throws   ShapeError when the shapes differ.
/// Cost     cost::activation_forward.
template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> x,
                        Matrix<Scalar> y);

/// dz = dy act'(z), written as a function of y = act(z), in place: dy becomes dz.
///
/// Shapes   y (B, N)   dy (B, N), overwritten. Nothing at all for identity.
/// Throws   ShapeError when the shapes differ; Error for an activation that is not slope_from_output.
/// Cost     cost::activation_backward.
template <class Scalar>
void activation_backward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> y,
                         Matrix<Scalar> dy);

/// dx = dy act'(x), for every activation.
///
/// Shapes   x (B, N)   dy (B, N)   ->   dx (B, N), overwritten; dx may be dy.
/// Throws   ShapeError when the shapes differ.
/// Cost     cost::activation_backward_from_input.
template <class Scalar>
void activation_backward_from_input(const Exec& exec, Activation activation,
                                    std::type_identity_t<ConstMatrix<Scalar>> x,
                                    std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

}  // namespace partita::kernels
