// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/kernels/attention.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/softmax.hpp>

#include "suite.hpp"

namespace partita::kernel_bench {
namespace {

using kernels::Context;

void add_norms(Suite& suite, index_t B, index_t C) {
  const std::string size = fmt::format("{}x{}", B, C);
  suite.add("layernorm_forward/" + size, kernels::cost::layernorm_forward(B, C, 4, 4), [=](Context& context) -> Call {
    return
        [=, &context, x = matrix(B, C), gamma = vector(C), beta = vector(C), y = matrix(B, C), mean = vector(B),
         rstd = vector(B)] { kernels::layernorm_forward<float>(context.exec(), 1e-5, x, gamma, beta, y, mean, rstd); };
  });
  suite.add("layernorm_backward_input/" + size, kernels::cost::layernorm_backward_input(B, C, 4, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, C), gamma = vector(C), mean = vector(B), rstd = vector(B),
                      dy = matrix(B, C), dx = matrix(B, C)] {
                kernels::layernorm_backward_input<float>(context.exec(), x, gamma, mean, rstd, dy, dx);
              };
            });
  suite.add("layernorm_backward_weights/" + size, kernels::cost::layernorm_backward_weights(B, C, 4, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, C), mean = vector(B), rstd = vector(B), dy = matrix(B, C),
                      dgamma = vector(C), dbeta = vector(C)] {
                kernels::layernorm_backward_weights<float>(context, {}, kernels::Store::overwrite, x, mean, rstd, dy,
                                                           dgamma, dbeta);
              };
            });
  suite.add("rmsnorm_forward/" + size, kernels::cost::rmsnorm_forward(B, C, 4, 4), [=](Context& context) -> Call {
    return [=, &context, x = matrix(B, C), gamma = vector(C), y = matrix(B, C), rstd = vector(B)] {
      kernels::rmsnorm_forward<float>(context.exec(), 1e-5, x, gamma, y, rstd);
    };
  });
  suite.add("rmsnorm_backward_input/" + size, kernels::cost::rmsnorm_backward_input(B, C, 4, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, C), gamma = vector(C), rstd = vector(B), dy = matrix(B, C),
                      dx = matrix(B, C)] {
                kernels::rmsnorm_backward_input<float>(context.exec(), x, gamma, rstd, dy, dx);
              };
            });
  suite.add("rmsnorm_backward_weights/" + size, kernels::cost::rmsnorm_backward_weights(B, C, 4, 4),
            [=](Context& context) -> Call {
              return [=, &context, x = matrix(B, C), rstd = vector(B), dy = matrix(B, C), dgamma = vector(C)] {
                kernels::rmsnorm_backward_weights<float>(context, {}, kernels::Store::overwrite, x, rstd, dy, dgamma);
              };
            });
}

void add_softmax(Suite& suite, index_t B, index_t C) {
  const std::string size = fmt::format("{}x{}", B, C);
  suite.add("softmax_forward/" + size, kernels::cost::softmax_forward(B, C, 4), [=](Context& context) -> Call {
    return [=, &context, x = matrix(B, C), y = matrix(B, C)] { kernels::softmax_forward<float>(context.exec(), x, y); };
  });
  suite.add("softmax_backward/" + size, kernels::cost::softmax_backward(B, C, 4), [=](Context& context) -> Call {
    return [=, &context, y = matrix(B, C), dy = matrix(B, C), dx = matrix(B, C)] {
      kernels::softmax_backward<float>(context.exec(), y, dy, dx);
    };
  });
}

void add_attention(Suite& suite, index_t B, index_t D, const kernels::AttentionOptions& options) {
  const auto [T, H, causal, algorithm, queries] = options;
  const index_t rows = B * T, C = H * D;
  const std::string size =
      fmt::format("{}/{}/B{}_T{}_H{}_D{}", name(algorithm), causal ? "causal" : "full", B, T, H, D);
  suite.add("attention_forward/" + size, kernels::cost::attention_forward(B, whole(T), H, D, causal, 4, 4),
            [=](Context& context) -> Call {
              return
                  [=, &context, q = matrix(rows, C), k = matrix(rows, C), v = matrix(rows, C), y = matrix(rows, C),
                   lse = vector(B * H * T)] { kernels::attention_forward<float>(context, options, q, k, v, y, lse); };
            });
  suite.add("attention_backward/" + size, kernels::cost::attention_backward(B, whole(T), H, D, causal, 4, 4),
            [=](Context& context) -> Call {
              const auto q = matrix(rows, C), k = matrix(rows, C), v = matrix(rows, C), y = matrix(rows, C);
              const auto lse = vector(B * H * T);
              kernels::attention_forward<float>(context, options, q, k, v, y, lse);
              return [=, &context, dy = matrix(rows, C), dq = matrix(rows, C), dk = matrix(rows, C),
                      dv = matrix(rows, C)] {
                kernels::attention_backward<float>(context, options, q, k, v, y, lse, dy, dq, dk, dv);
              };
            });
}

// One token of each sample after T - 1 others.
void add_decoding(Suite& suite, index_t B, index_t T, index_t H, index_t D) {
  const index_t C = H * D;
  const Slice last{T - 1, 1, T};
  suite.add(fmt::format("attention_cached/B{}_T{}_H{}_D{}", B, T, H, D),
            kernels::cost::attention_forward(B, last, H, D, true, 4, 4), [=](Context& context) -> Call {
              return [=, &context, options = kernels::AttentionOptions{.T = T, .H = H, .queries = last},
                      q = matrix(B, C), k = matrix(B * T, C), v = matrix(B * T, C), y = matrix(B, C),
                      lse = vector(B * H)] { kernels::attention_cached<float>(context, options, q, k, v, y, lse); };
            });
}

void add_embedding(Suite& suite, index_t B, index_t T, index_t V, index_t C) {
  const std::string size = fmt::format("B{}_T{}_V{}_C{}", B, T, V, C);
  suite.add("embedding_forward/" + size, kernels::cost::embedding_forward(B * T, C, true, 4),
            [=](Context& context) -> Call {
              return [=, &context, tokens = labels(B * T, V), W = matrix(V, C), P = matrix(T, C),
                      y = matrix(B * T, C)] { kernels::embedding_forward<float>(context.exec(), T, tokens, W, P, y); };
            });
  suite.add("embedding_backward_weights/" + size, kernels::cost::embedding_backward_weights(B * T, T, V, C, true, 4),
            [=](Context& context) -> Call {
              return [=, &context, tokens = labels(B * T, V), dy = matrix(B * T, C), dW = matrix(V, C),
                      dP = matrix(T, C)] {
                kernels::embedding_backward_weights<float>(context, {.tokens = T}, kernels::Store::overwrite, tokens,
                                                           dy, dW, dP);
              };
            });
}

}  // namespace

void add_sequence(Suite& suite) {
  add_norms(suite, 2048, 256);
  add_norms(suite, 2048, 1024);
  add_softmax(suite, 2048, 256);
  add_softmax(suite, 256, 10);
  using kernels::AttentionAlgorithm;
  for (const auto algorithm : {AttentionAlgorithm::blockwise, AttentionAlgorithm::plain})
    add_attention(suite, 8, 64, {.T = 256, .H = 4, .causal = true, .algorithm = algorithm});
  add_attention(suite, 8, 64, {.T = 256, .H = 4, .causal = false});
  add_attention(suite, 1, 64, {.T = 1024, .H = 4, .causal = true});
  add_decoding(suite, 8, 1024, 4, 64);
  add_embedding(suite, 8, 256, 256, 256);
}

}  // namespace partita::kernel_bench
