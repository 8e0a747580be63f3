// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/activation.hpp>
#include <partita/kernels/cost/common.hpp>

namespace partita::kernels::cost {

/// Per element of the activation's output.
constexpr double activation_flop(Activation activation) {
  switch (activation) {
    case Activation::relu:
    case Activation::tanh:
      return 1;
    case Activation::sigmoid:
      return 4;  // negation, exp, addition, division
    default:
      return 0;
  }
}

/// In place: read, write.
constexpr Cost activation_forward(Activation activation, index_t elements, index_t element) {
  if (activation == Activation::identity) return {};
  return Cost{activation_flop(activation), 2 * double(element)} * double(elements);
}

/// Reads y and dy, writes dy.
constexpr Cost activation_backward(Activation activation, index_t elements, index_t element) {
  if (activation == Activation::identity) return {};
  const double flop = activation == Activation::relu ? 1 : 3;
  return Cost{flop, 3 * double(element)} * double(elements);
}

/// b += a.
constexpr Cost add(index_t n, index_t element) { return Cost{1, 3 * double(element)} * double(n); }

}  // namespace partita::kernels::cost
