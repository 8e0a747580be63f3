// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/attention.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/sample.hpp>
#include <partita/kernels/softmax.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// The kernels of a decoder block: after the first step they allocate nothing, fence nothing, and each has Partita's
// label and runs on the context's instance.

namespace partita::kernels::test::discipline_sequence_tests {
namespace {

template <class Scalar>
struct Step {
  using A = accumulate_t<Scalar>;
  static constexpr index_t B = 3, T = 40, H = 2, D = 9, C = H * D, rows = B * T, V = 11;
  Context context;
  Matrix<Scalar> W{"W", V, C}, P{"P", T, C}, x{"x", rows, C}, y{"y", rows, C}, qkv{"qkv", rows, 3 * C},
      dqkv{"dqkv", rows, 3 * C}, scores{"scores", rows, V};
  Matrix<A> dW{"dW", V, C}, dP{"dP", T, C};
  Vector<Scalar> gamma{"gamma", C}, beta{"beta", C};
  Vector<A> dgamma{"dgamma", C}, dbeta{"dbeta", C}, mean{"mean", rows}, rstd{"rstd", rows}, lse{"lse", B*H*T};
  Vector<std::int32_t> tokens{"tokens", rows};
  Matrix<Scalar> new_q{"q", B, C}, new_y{"y", B, C};
  Vector<A> new_lse{"lse", B* H};
  Vector<double> best{"best", rows};
  Vector<index_t> which{"which", rows};

  Step(const Exec& exec, Backend backend)
      : context(exec, {.backend = backend, .deterministic = false, .per_kernel = {}}) {}

  Matrix<Scalar> third(const Matrix<Scalar>& of, index_t i) const {
    return Matrix<Scalar>(Kokkos::subview(of, Kokkos::ALL, Kokkos::pair<index_t, index_t>(i * C, (i + 1) * C)));
  }
  void run() {
    const Exec& exec = context.exec();
    embedding_forward<Scalar>(exec, T, tokens, W, P, x);
    layernorm_forward<Scalar>(exec, 1e-5, x, gamma, beta, y, mean, rstd);
    for (AttentionAlgorithm algorithm : {AttentionAlgorithm::blockwise, AttentionAlgorithm::plain}) {
      const AttentionOptions options{.T = T, .H = H, .causal = true, .algorithm = algorithm};
      attention_forward<Scalar>(context, options, third(qkv, 0), third(qkv, 1), third(qkv, 2), y, lse);
      attention_backward<Scalar>(context, options, third(qkv, 0), third(qkv, 1), third(qkv, 2), y, lse, y,
                                 third(dqkv, 0), third(dqkv, 1), third(dqkv, 2));
      const AttentionOptions last{.T = T, .H = H, .causal = true, .algorithm = algorithm, .queries = {T - 1, 1, T}};
      attention_cached<Scalar>(context, last, new_q, third(qkv, 1), third(qkv, 2), new_y, new_lse);
    }
    sample<Scalar>(exec, {}, whole(V), V, scores, best, which);
    gemm<Scalar>(context, {.transpose_b = true, .alpha = 0.5, .beta = 1}, x, W, scores);
    gemm_batched<Scalar>(context, {.transpose_b = true}, {x.data(), B, T, C, C, T * C}, {W.data(), B, V, C, C, 0},
                         MatrixBatch<Scalar>{scores.data(), B, T, V, V, T * V});
    softmax_forward<Scalar>(exec, scores, scores);
    softmax_backward<Scalar>(exec, scores, scores, scores);
    layernorm_backward_input<Scalar>(exec, x, gamma, mean, rstd, y, y);
    for (Store store : {Store::overwrite, Store::accumulate})
      layernorm_backward_weights<Scalar>(context, {}, store, x, mean, rstd, y, dgamma, dbeta);
    rmsnorm_forward<Scalar>(exec, 1e-5, x, gamma, y, rstd);
    rmsnorm_backward_input<Scalar>(exec, x, gamma, rstd, y, y);
    rmsnorm_backward_weights<Scalar>(context, {}, Store::overwrite, x, rstd, y, dgamma);
    for (Store store : {Store::overwrite, Store::accumulate})
      embedding_backward_weights<Scalar>(context, {.tokens = T}, store, tokens, y, dW, dP);
    embedding_bag_forward<Scalar>(exec, T, tokens, W, new_y);
    for (Store store : {Store::overwrite, Store::accumulate})
      embedding_bag_backward_weights<Scalar>(context, T, store, tokens, new_y, dW);
    // In blocks: the same kernels, and additions.
    const LinearOptions blocks{.inputs = {4}, .outputs = {2, 1}, .tokens = T, .token_blocks = 3};
    linear_forward<Scalar>(context, blocks, x, W, {}, scores);
    linear_backward_input<Scalar>(context, blocks, scores, W, x);
    linear_backward_weights<Scalar>(context, blocks, Store::accumulate, x, scores, dW, {});
    layernorm_backward_weights<Scalar>(context, {T, 3}, Store::accumulate, x, mean, rstd, y, dgamma, dbeta);
    embedding_backward_weights<Scalar>(context, {T, 3}, Store::accumulate, tokens, y, dW, dP);
  }
};

template <class Scalar>
void expect_own_labels(Backend backend) {
  Step<Scalar> step(instances().back(), backend);
  step.run();
  ::partita::test::expect_own_labels_and_no_fences(step.context.exec(), 16, [&] { step.run(); });
}

template <class Scalar>
void expect_no_allocation(Backend backend) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Step<Scalar> step(Exec(), backend);
  step.run();
  step.run();
  ::partita::test::expect_no_allocation(backend == Backend::portable, [&] { step.run(); });
}

class discipline_sequence : public ::testing::TestWithParam<Backend> {};

TEST_P(discipline_sequence, a_step_has_own_labels_and_neither_fences_nor_view_allocations) {
  expect_own_labels<float>(GetParam());
  expect_own_labels<bfloat16>(GetParam());
}
TEST_P(discipline_sequence, a_step_asks_the_heap_for_nothing) {
  expect_no_allocation<float>(GetParam());
  expect_no_allocation<float16>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(all, discipline_sequence, ::testing::ValuesIn(backends()), [](const auto& at) {
  return std::string(at.param == Backend::vendor ? "vendor" : "portable");
});

}  // namespace
}  // namespace partita::kernels::test::discipline_sequence_tests
