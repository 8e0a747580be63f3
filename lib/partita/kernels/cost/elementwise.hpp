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
    case Activation::gelu:
      return 5;  // scale, erf, addition, two products
    case Activation::gelu_tanh:
      return 10;  // cubic 5, sigmoid 4, product
    case Activation::silu:
      return 5;  // sigmoid 4, product
    default:
      return 0;
  }
}

/// Read, write. identity in place is nothing at all.
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

/// Reads x and dy, writes dx.
constexpr Cost activation_backward_from_input(Activation activation, index_t elements, index_t element) {
  double flop = 0;
  switch (activation) {
    case Activation::identity:
      break;
    case Activation::relu:
      flop = 1;
      break;
    case Activation::tanh:
      flop = 4;
      break;
    case Activation::sigmoid:
      flop = 7;
      break;
    case Activation::gelu:
      flop = 11;  // distribution 4, density 4, product, addition, dy
      break;
    case Activation::gelu_tanh:
      flop = 18;  // weight 9, slope of its argument 3, three products, difference, addition, dy
      break;
    case Activation::silu:
      flop = 9;  // sigmoid 4, difference, product, addition, product, dy
      break;
  }
  return Cost{flop, 3 * double(element)} * double(elements);
}

/// b += a.
constexpr Cost add(index_t n, index_t element) { return Cost{1, 3 * double(element)} * double(n); }

/// c = max(a + b, 0); without the maximum it costs what add does.
constexpr Cost add_relu(index_t n, index_t element) { return Cost{2, 3 * double(element)} * double(n); }

/// Read in one type, written in the other.
constexpr Cost cast(index_t n, index_t from_element, index_t to_element) {
  return {0, double(n) * double(from_element + to_element)};
}

/// Reads x, writes y. A comparison, a scale an element; the random bits are integer work and are not counted.
constexpr Cost dropout(index_t n, index_t element) { return Cost{2, 2 * double(element)} * double(n); }

}  // namespace partita::kernels::cost
