// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/loss.hpp>

#include "cut_sums.hpp"

// Products whose sums are cut, and what cannot be cut.

namespace partita::kernels::test::blocks_tests {
namespace {

/// (M, N): sums over k of a(k, i) b(k, j).
template <class Scalar>
std::vector<accumulate_t<Scalar>> products(const Cut& cut, index_t M, index_t N,
                                           const std::function<Scalar(index_t, index_t)>& a,
                                           const std::function<Scalar(index_t, index_t)>& b) {
  using A = accumulate_t<Scalar>;
  return tree(0, cut.blocks.leaves, [&](index_t leaf) {
    std::vector<A> c(M * N, A(0));
    for (index_t k : elements(cut.blocks, cut.n, leaf))
      for (index_t i = 0; i < M; ++i)
        for (index_t j = 0; j < N; ++j) c[i * N + j] = std::fma(A(a(k, i)), A(b(k, j)), c[i * N + j]);
    return c;
  });
}

template <class Scalar>
class blocks : public ::testing::Test {};
TYPED_TEST_SUITE(blocks, BlockScalars);

/// Long enough for a leaf that is more than one block of the GEMM's depth, too.
TYPED_TEST(blocks, linear_forward_sums_inputs_in_a_tree) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  for (index_t outer : {1, 3}) {
    auto all = cuts(outer);
    all.push_back({outer * 700, {2, outer}});
    for (const Cut& cut : all) {
      SCOPED_TRACE(text(cut));
      const index_t B = 5, N = 19, K = cut.n;
      const auto x = random_values<Scalar>(1, B * K), W = random_values<Scalar>(2, N * K),
                 b = random_values<Scalar>(3, N);
      auto sums = products<Scalar>(
          cut, B, N, [&](index_t k, index_t i) { return x[i * K + k]; },
          [&](index_t k, index_t j) { return W[j * K + k]; });
      for (index_t i = 0; i < B * N; ++i) sums[i] = activate(Activation::tanh, A(sums[i] + A(b[i % N])));
      for (const Exec& exec : instances()) {
        Context context(exec);
        const Placed<Scalar> x_placed(x, B, K, {1, 3}), W_placed(W, N, K, {3, 1}), y(B, N, {1, 2});
        if (cut.blocks.leaves == 1) context = Context(exec, {.backend = Backend::portable, .per_kernel = {}});
        linear_forward(context, {.activation = Activation::tanh, .inputs = cut.blocks}, x_placed.matrix(),
                       W_placed.matrix(), to_device(b), y.matrix());
        exec.fence();
        EXPECT_TRUE(same_bits(y.values(), rounded<Scalar>(sums)));
        EXPECT_TRUE(y.surroundings_untouched());
      }
    }
  }
}

TYPED_TEST(blocks, linear_backward_input_sums_outputs_in_a_tree) {
  using Scalar = TypeParam;
  for (index_t outer : {1, 3})
    for (const Cut& cut : cuts(outer)) {
      SCOPED_TRACE(text(cut));
      const index_t B = 5, N = cut.n, K = 19;
      const auto dy = random_values<Scalar>(1, B * N), W = random_values<Scalar>(2, N * K);
      const auto sums = products<Scalar>(
          cut, B, K, [&](index_t n, index_t i) { return dy[i * N + n]; },
          [&](index_t n, index_t j) { return W[n * K + j]; });
      for (const Exec& exec : instances()) {
        Context context(exec,
                        {.backend = cut.blocks.leaves == 1 ? Backend::portable : Backend::automatic, .per_kernel = {}});
        const Placed<Scalar> dy_placed(dy, B, N, {1, 3}), W_placed(W, N, K, {3, 1}), dx(B, K, {1, 2});
        linear_backward_input(context, {.outputs = cut.blocks}, dy_placed.matrix(), W_placed.matrix(), dx.matrix());
        exec.fence();
        EXPECT_TRUE(same_bits(dx.values(), rounded<Scalar>(sums)));
        EXPECT_TRUE(dx.surroundings_untouched());
      }
    }
}

TYPED_TEST(blocks, linear_backward_weights_sums_tokens_in_a_tree) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  for (index_t samples : {1, 3})
    for (const Cut& cut : cuts(samples))
      for (Store store : {Store::overwrite, Store::accumulate}) {
        SCOPED_TRACE(text(cut));
        const index_t rows = cut.n, N = 7, K = 19, T = rows / samples;
        const auto x = random_values<Scalar>(1, rows * K), dy = random_values<Scalar>(2, rows * N);
        const auto there = random_values<A>(3, N * K), db_there = random_values<A>(4, N);
        auto dW_expected = products<Scalar>(
            cut, N, K, [&](index_t b, index_t i) { return dy[b * N + i]; },
            [&](index_t b, index_t j) { return x[b * K + j]; });
        auto db_expected = products<Scalar>(
            cut, 1, N, [&](index_t, index_t) { return Scalar(1); },
            [&](index_t b, index_t j) { return dy[b * N + j]; });
        if (store == Store::accumulate) {
          for (index_t i = 0; i < N * K; ++i) dW_expected[i] += there[i];
          for (index_t i = 0; i < N; ++i) db_expected[i] += db_there[i];
        }
        for (const Exec& exec : instances()) {
          Context context(
              exec, {.backend = cut.blocks.leaves == 1 ? Backend::portable : Backend::automatic, .per_kernel = {}});
          const Placed<Scalar> x_placed(x, rows, K, {1, 3}), dy_placed(dy, rows, N, {3, 1});
          const Placed<A> dW(there, N, K, {1, 2});
          const auto db = to_device(db_there);
          linear_backward_weights<Scalar>(context, {.tokens = T, .token_blocks = cut.blocks.leaves}, store,
                                          x_placed.matrix(), dy_placed.matrix(), dW.matrix(), db);
          exec.fence();
          EXPECT_TRUE(same_bits(dW.values(), dW_expected));
          EXPECT_TRUE(same_bits(to_host(db), db_expected));
          EXPECT_TRUE(dW.surroundings_untouched());
        }
      }
}

TEST(blocks_shapes, errors_say_what_cannot_be_cut) {
  Context context;
  const auto m = [](index_t rows, index_t columns) { return Matrix<float>("m", rows, columns); };
  const auto v = [](index_t n) { return Vector<float>("v", n); };
  EXPECT_EQ(
      caught<ShapeError>([&] {
        linear_forward(context, {.inputs = {2, 3}}, m(4, 10), m(5, 10), v(5), m(4, 5));
      }),
      "linear_forward: a sum over 10 inputs cannot be cut into 2 blocks of (3, inputs / 3): expected at least 1 of "
      "each, and a divisor");
  EXPECT_EQ(caught<ShapeError>([&] {
              linear_backward_input(context, {.outputs = {0, 1}}, m(4, 5), m(5, 10), m(4, 10));
            }),
            "linear_backward_input: a sum over 5 outputs cannot be cut into 0 blocks of (1, outputs / 1): expected at "
            "least 1 of each, and a divisor");
  EXPECT_EQ(caught<ShapeError>([&] {
              linear_backward_weights<float>(context, {.tokens = 3, .token_blocks = 2}, Store::overwrite, m(4, 10),
                                             m(4, 5), m(5, 10), v(5));
            }),
            "linear_backward_weights: 4 rows, tokens is 3: expected rows (B T)");
  EXPECT_EQ(
      caught<ShapeError>([&] {
        rmsnorm_backward_weights<float>(context, {.tokens = 2, .token_blocks = -1}, Store::overwrite, m(4, 10), v(4),
                                        m(4, 10), v(10));
      }),
      "rmsnorm_backward_weights: a sum over 4 rows cannot be cut into -1 blocks of (2, rows / 2): expected at least "
      "1 of each, and a divisor");
  EXPECT_EQ(caught<ShapeError>([&] {
              loss_forward_backward(context, {.vocabulary_blocks = 0}, m(4, 10), Vector<std::int32_t>("l", 4), 1,
                                    m(4, 10), Kokkos::View<double, Memory>("sum"));
            }),
            "loss: vocabulary_blocks is 0: expected at least 1");
}

}  // namespace
}  // namespace partita::kernels::test::blocks_tests
