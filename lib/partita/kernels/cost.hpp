// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/optimizer.hpp>

// Closed-form work of every kernel. A multiply-add is 2 flop; a transcendental, a division, a root, a comparison is 1.
// Bytes: every operand moved once between memory and the core, whatever the caches do. `element` is bytes per number.

namespace partita::kernels::cost {

struct Cost {
  double flop = 0;
  double byte = 0;

  constexpr Cost operator+(Cost other) const { return {flop + other.flop, byte + other.byte}; }
  constexpr Cost operator*(double times) const { return {flop * times, byte * times}; }
  constexpr bool operator==(const Cost&) const = default;
};

/// C (M, N) = A (M, K) B (K, N).
constexpr Cost gemm(index_t M, index_t N, index_t K, index_t element) {
  const double m = double(M), n = double(N), k = double(K);
  return {2 * m * n * k, double(element) * (m * k + k * n + m * n)};
}

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

/// y = act(x W^T + b): GEMM, N biases read, one addition and the activation an element.
constexpr Cost linear_forward(index_t B, index_t N, index_t K, index_t element,
                              Activation activation = Activation::identity) {
  const double outputs = double(B) * double(N);
  return gemm(B, N, K, element) + Cost{outputs * (1 + activation_flop(activation)), double(element) * double(N)};
}

constexpr Cost linear_backward_input(index_t B, index_t N, index_t K, index_t element) {
  return gemm(B, K, N, element);
}

/// dW by GEMM; db adds B numbers a column, and dy was read already.
constexpr Cost linear_backward_weights(index_t B, index_t N, index_t K, index_t element) {
  return gemm(N, K, B, element) + Cost{double(B) * double(N), double(element) * double(N)};
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

/// Reads logits and labels, writes dlogits. cross_entropy: maximum, subtract, exp, add, scale a number; log, two
/// additions and the label's subtraction a row. mse: subtract, square and add (2), scale a number; one division a row.
constexpr Cost loss_forward_backward(Loss loss, index_t B, index_t V, index_t element) {
  const double rows = double(B), numbers = double(B) * double(V);
  const double flop = loss == Loss::cross_entropy ? 5 * numbers + 4 * rows : 4 * numbers + rows;
  return {flop, 2 * numbers * double(element) + 4 * rows};
}

/// Reads g, p and the rule's buffers once, writes p and the buffers once.
constexpr Cost optimizer_update(const OptimizerOptions& options, index_t n, index_t element) {
  double flop = 2, streams = 3;  // p <- p - rate g
  switch (options.kind) {
    case Optimizer::sgd:
      if (options.momentum != 0) flop += 2, streams += 2;
      break;
    case Optimizer::adagrad:
      flop += 5, streams += 2;  // square and add (2), root, + epsilon, division
      break;
    case Optimizer::adam:
      flop += 3 + 4 + 4, streams += 4;  // m; v; root, two divisions, + epsilon
      break;
  }
  if (options.weight_decay != 0) flop += 2;
  return Cost{flop, streams * double(element)} * double(n);
}

/// b += a.
constexpr Cost add(index_t n, index_t element) { return Cost{1, 3 * double(element)} * double(n); }

}  // namespace partita::kernels::cost
