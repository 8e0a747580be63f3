// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/cost/elementwise.hpp>
#include <partita/kernels/gemm.hpp>

namespace partita::kernels::cost {

/// C (M, N) = A (M, K) B (K, N).
constexpr Cost gemm(index_t M, index_t N, index_t K, index_t element) {
  const double m = double(M), n = double(N), k = double(K);
  return {2 * m * n * k, double(element) * (m * k + k * n + m * n)};
}

/// C = alpha op(A) op(B) + beta C: beyond the product, a multiplication an element unless alpha is 1, a multiply-add
/// and C read unless beta is 0. A batch is so many of them.
constexpr Cost gemm(const GemmOptions& options, index_t M, index_t N, index_t K, index_t element, index_t batches = 1) {
  const double outputs = double(M) * double(N);
  const Cost scaled{(options.alpha != 1 ? outputs : 0) + (options.beta != 0 ? 2 * outputs : 0),
                    options.beta != 0 ? double(element) * outputs : 0};
  return (gemm(M, N, K, element) + scaled) * double(batches);
}

/// y = act(x W^T + b): GEMM, N biases read, one addition and the activation an element.
constexpr Cost linear_forward(index_t B, index_t N, index_t K, index_t element,
                              Activation activation = Activation::identity, bool bias = true) {
  const double outputs = double(B) * double(N);
  return gemm(B, N, K, element) +
         Cost{outputs * ((bias ? 1 : 0) + activation_flop(activation)), bias ? double(element) * double(N) : 0};
}

constexpr Cost linear_backward_input(index_t B, index_t N, index_t K, index_t element) {
  return gemm(B, K, N, element);
}

/// dW by GEMM; db adds B numbers a column, and dy was read already.
constexpr Cost linear_backward_weights(index_t B, index_t N, index_t K, index_t element, Store store = Store::overwrite,
                                       bool bias = true) {
  const double b = double(B), n = double(N), k = double(K);
  return Cost{2 * b * n * k + (bias ? b * n : 0), double(element) * (b * k + b * n)} +
         stored_sums(store, n * k + (bias ? n : 0), element);
}

}  // namespace partita::kernels::cost
