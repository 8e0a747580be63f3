// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/kernels/gemm.hpp>
#include <partita/kernels/linear.hpp>

#include "suite.hpp"

namespace partita::kernel_bench {
namespace {

using kernels::Activation;
using kernels::Context;

void add_linear(Suite& suite, index_t B, index_t N, index_t K, Activation activation) {
  const std::string size = fmt::format("{}x{}x{}", B, N, K);
  suite.add(fmt::format("linear_forward/{}/{}", name(activation), size),
            kernels::cost::linear_forward(B, N, K, 4, activation), [=](kernels::Context& context) -> Call {
              return [=, &context, x = matrix(B, K), W = matrix(N, K), b = vector(N), y = matrix(B, N)] {
                kernels::linear_forward<float>(context, {.activation = activation}, x, W, b, y);
              };
            });
  suite.add("linear_backward_input/" + size, kernels::cost::linear_backward_input(B, N, K, 4),
            [=](kernels::Context& context) -> Call {
              return [=, &context, dy = matrix(B, N), W = matrix(N, K), dx = matrix(B, K)] {
                kernels::linear_backward_input<float>(context, {}, dy, W, dx);
              };
            });
  suite.add("linear_backward_weights/" + size, kernels::cost::linear_backward_weights(B, N, K, 4),
            [=](kernels::Context& context) -> Call {
              return [=, &context, x = matrix(B, K), dy = matrix(B, N), dW = matrix(N, K), db = vector(N)] {
                kernels::linear_backward_weights<float>(context, {}, kernels::Store::overwrite, x, dy, dW, db);
              };
            });
}

}  // namespace

void add_dense(Suite& suite) {
  for (const index_t n : {128, 256, 512, 1024, 2048})
    suite.add(fmt::format("gemm/{}", n), kernels::cost::gemm(n, n, n, 4), [=](kernels::Context& context) -> Call {
      return [=, &context, A = matrix(n, n), B = matrix(n, n), C = matrix(n, n)] {
        kernels::gemm<float>(context, {}, A, B, C);
      };
    });
  // Scores of 32 heads: 256 x 64 times 64 x 256 each.
  suite.add("gemm_batched/32x256x256x64", kernels::cost::gemm(256, 256, 64, 4) * 32, [](Context& context) -> Call {
    return [&context, A = matrix(32 * 256, 64), B = matrix(32 * 256, 64), C = matrix(32 * 256, 256)] {
      const kernels::MatrixBatch<const float> a{A.data(), 32, 256, 64, 64, 256 * 64},
          b{B.data(), 32, 256, 64, 64, 256 * 64};
      kernels::gemm_batched<float>(context, {.transpose_b = true}, a, b, {C.data(), 32, 256, 256, 256, 256 * 256});
    };
  });
  // The MLP of the comparison, the transformer's projections.
  add_linear(suite, 256, 2048, 784, Activation::relu);
  add_linear(suite, 256, 2048, 2048, Activation::relu);
  add_linear(suite, 256, 10, 2048, Activation::identity);
  add_linear(suite, 2048, 768, 256, Activation::identity);
  add_linear(suite, 2048, 1024, 256, Activation::identity);
}

}  // namespace partita::kernel_bench
