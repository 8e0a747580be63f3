// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

#include <partita/kernels/activation.hpp>
#include <partita/kernels/gemm.hpp>

// The executable specification: plain loops over dense row-major std::vectors on the host. Products are fma chains over
// the ascending summation index, which the portable kernels match bit for bit.

namespace partita::kernels::reference {

/// alpha op(A) op(B) + beta C of (M, N), from C; C is not read if beta is 0.
template <class Scalar>
std::vector<Scalar> gemm(const GemmOptions& o, const std::vector<Scalar>& A, const std::vector<Scalar>& B,
                         std::vector<Scalar> C, index_t M, index_t N, index_t K) {
  for (index_t i = 0; i < M; ++i)
    for (index_t j = 0; j < N; ++j) {
      Scalar sum = 0;
      for (index_t k = 0; k < K; ++k)
        sum = std::fma(A[o.transpose_a ? k * M + i : i * K + k], B[o.transpose_b ? j * K + k : k * N + j], sum);
      sum *= Scalar(o.alpha);
      C[i * N + j] = o.beta == 0 ? sum : std::fma(Scalar(o.beta), C[i * N + j], sum);
    }
  return C;
}

/// y (B, N) = act(x (B, K) W^T (K, N) + b (N)).
template <class Scalar>
std::vector<Scalar> linear_forward(Activation activation, const std::vector<Scalar>& x, const std::vector<Scalar>& W,
                                   const std::vector<Scalar>& b, index_t B, index_t N, index_t K) {
  std::vector<Scalar> y(B * N);
  for (index_t i = 0; i < B; ++i)
    for (index_t n = 0; n < N; ++n) {
      Scalar sum = 0;
      for (index_t k = 0; k < K; ++k) sum = std::fma(x[i * K + k], W[n * K + k], sum);
      y[i * N + n] = activate(activation, sum + b[n]);
    }
  return y;
}

/// dx (B, K) = dy (B, N) W (N, K).
template <class Scalar>
std::vector<Scalar> linear_backward_input(const std::vector<Scalar>& dy, const std::vector<Scalar>& W, index_t B,
                                          index_t N, index_t K) {
  std::vector<Scalar> dx(B * K);
  for (index_t i = 0; i < B; ++i)
    for (index_t k = 0; k < K; ++k) {
      Scalar sum = 0;
      for (index_t n = 0; n < N; ++n) sum = std::fma(dy[i * N + n], W[n * K + k], sum);
      dx[i * K + k] = sum;
    }
  return dx;
}

/// dW (N, K) = dy^T x.
template <class Scalar>
std::vector<Scalar> linear_backward_weights(const std::vector<Scalar>& x, const std::vector<Scalar>& dy, index_t B,
                                            index_t N, index_t K) {
  std::vector<Scalar> dW(N * K);
  for (index_t n = 0; n < N; ++n)
    for (index_t k = 0; k < K; ++k) {
      Scalar sum = 0;
      for (index_t i = 0; i < B; ++i) sum = std::fma(dy[i * N + n], x[i * K + k], sum);
      dW[n * K + k] = sum;
    }
  return dW;
}

/// db (N) = sum over rows of dy (B, N).
template <class Scalar>
std::vector<Scalar> column_sum(const std::vector<Scalar>& dy, index_t B, index_t N) {
  std::vector<Scalar> db(N, Scalar(0));
  for (index_t i = 0; i < B; ++i)
    for (index_t n = 0; n < N; ++n) db[n] += dy[i * N + n];
  return db;
}

}  // namespace partita::kernels::reference
