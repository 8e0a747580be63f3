// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/partition.hpp>
#include <partita/kernels/attention.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/math.hpp>

#include "numbers.hpp"

// Sums in fixed blocks, as deterministic mode wants them: the tree over leaves, each the ordinary sum over its
// elements. Expected here from the definition: a recursion over lists of elements.

namespace partita::kernels::test::blocks_tests {
namespace {

/// The value of (low, high) of the tree: leaf(i) gives numbers.
template <class Leaf>
auto tree(index_t low, index_t high, const Leaf& leaf) {
  if (high - low == 1) return leaf(low);
  const index_t middle = low + (high - low + 1) / 2;
  auto sum = tree(low, middle, leaf);
  const auto right = tree(middle, high, leaf);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  return sum;
}

/// What a leaf adds, in order.
std::vector<index_t> elements(const Blocks& blocks, index_t n, index_t leaf) {
  std::vector<index_t> all;
  const index_t inner = n / blocks.outer;
  const Slice slice = partition(inner, blocks.leaves, leaf);
  for (index_t outer = 0; outer < blocks.outer; ++outer)
    for (index_t i = slice.offset; i < slice.end(); ++i) all.push_back(outer * inner + i);
  return all;
}

struct Cut {
  index_t n;
  Blocks blocks;
};
std::vector<Cut> cuts(index_t outer) {
  std::vector<Cut> all;
  for (index_t extent : {1, 3, 17, 33})
    for (index_t leaves : {1, 2, 3, 5, 40}) all.push_back({outer * extent, {leaves, outer}});
  return all;
}
std::string text(const Cut& c) {
  return std::to_string(c.n) + " in (" + std::to_string(c.blocks.outer) + ", .), leaves " +
         std::to_string(c.blocks.leaves);
}

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
std::vector<Scalar> rounded(const std::vector<accumulate_t<Scalar>>& values) {
  return {values.begin(), values.end()};
}

template <class Scalar>
class blocks : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16>;
TYPED_TEST_SUITE(blocks, Scalars);

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

/// A leaf is 16 runs of its rows, added in order.
TYPED_TEST(blocks, norms_backward_weights_sums_tokens_in_a_tree) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  for (bool centred : {true, false})
    for (index_t samples : {1, 3})
      for (const Cut& cut : cuts(samples))
        for (Store store : {Store::overwrite, Store::accumulate}) {
          SCOPED_TRACE(text(cut));
          const index_t rows = cut.n, C = 70, T = rows / samples;
          const auto x = random_values<Scalar>(1, rows * C), dy = random_values<Scalar>(2, rows * C);
          const auto mean = random_values<A>(3, rows), rstd = random_values<A>(4, rows);
          const auto there = random_values<A>(5, C);
          auto expected = tree(0, cut.blocks.leaves, [&](index_t leaf) {
            const auto list = elements(cut.blocks, rows, leaf);
            const index_t n = index_t(list.size()), runs = 16;
            std::vector<A> sums(2 * C, A(0));
            for (index_t c = 0; c < C; ++c)
              for (index_t run = 0; run < runs; ++run) {
                A along = 0, plain = 0;
                for (index_t at = run * n / runs; at < (run + 1) * n / runs; ++at) {
                  const index_t b = list[at];
                  const A g = A(dy[b * C + c]);
                  along += g * ((A(x[b * C + c]) - (centred ? mean[b] : A(0))) * rstd[b]);
                  plain += g;
                }
                sums[c] += along, sums[C + c] += plain;
              }
            return sums;
          });
          if (store == Store::accumulate)
            for (index_t i = 0; i < 2 * C; ++i) expected[i] += there[i % C];
          if (!centred) std::copy(there.begin(), there.end(), expected.begin() + C);
          for (const Exec& exec : instances()) {
            Context context(exec);
            const Placed<Scalar> x_placed(x, rows, C, {1, 3}), dy_placed(dy, rows, C, {3, 1});
            const auto dgamma = to_device(there, 1), dbeta = to_device(there);
            const TokenBlocks options{T, cut.blocks.leaves};
            if (centred)
              layernorm_backward_weights<Scalar>(context, options, store, x_placed.matrix(), to_device(mean),
                                                 to_device(rstd), dy_placed.matrix(), dgamma, dbeta);
            else
              rmsnorm_backward_weights<Scalar>(context, options, store, x_placed.matrix(), to_device(rstd),
                                               dy_placed.matrix(), dgamma);
            exec.fence();
            auto got = to_host(dgamma);
            for (A value : to_host(dbeta)) got.push_back(value);
            EXPECT_TRUE(same_bits(got, expected));
          }
        }
}

/// Of the words' table; a position has no sum over tokens.
TYPED_TEST(blocks, embedding_backward_weights_sums_tokens_in_a_tree) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  for (index_t samples : {1, 3})
    for (const Cut& cut : cuts(samples))
      for (Store store : {Store::overwrite, Store::accumulate}) {
        SCOPED_TRACE(text(cut));
        const index_t rows = cut.n, V = 4, C = 70, T = rows / samples;
        std::vector<std::int32_t> tokens;
        for (index_t i = 0; i < rows; ++i) tokens.push_back(std::int32_t(i * 7 % (V + 1)) - (i == 2));
        const auto dy = random_values<Scalar>(1, rows * C);
        const auto there = random_values<A>(2, V * C), P_there = random_values<A>(3, T * C);
        auto expected = tree(0, cut.blocks.leaves, [&](index_t leaf) {
          std::vector<A> sums(V * C, A(0));
          for (index_t i : elements(cut.blocks, rows, leaf))
            if (tokens[i] >= 0 && tokens[i] < V)
              for (index_t c = 0; c < C; ++c) sums[tokens[i] * C + c] += A(dy[i * C + c]);
          return sums;
        });
        std::vector<A> P_expected(T * C, A(0));
        for (index_t i = 0; i < rows * C; ++i) P_expected[i % (T * C)] += A(dy[i]);
        if (store == Store::accumulate) {
          for (index_t i = 0; i < V * C; ++i) expected[i] += there[i];
          for (index_t i = 0; i < T * C; ++i) P_expected[i] += P_there[i];
        }
        for (const Exec& exec : instances()) {
          Context context(exec);
          const Placed<Scalar> dy_placed(dy, rows, C, {3, 1});
          const Placed<A> dW(there, V, C, {1, 2}), dP(P_there, T, C, {2, 1});
          embedding_backward_weights<Scalar>(context, {T, cut.blocks.leaves}, store, to_device(tokens),
                                             dy_placed.matrix(), dW.matrix(), dP.matrix());
          exec.fence();
          EXPECT_TRUE(same_bits(dW.values(), expected));
          EXPECT_TRUE(same_bits(dP.values(), P_expected));
          EXPECT_TRUE(dW.surroundings_untouched() && dP.surroundings_untouched());
        }
      }
}

/// 32 lanes, each adding every 32nd number, added by halves.
double row_sum(const std::vector<double>& numbers) {
  std::vector<double> lane(32, 0.0);
  for (std::size_t i = 0; i < numbers.size(); ++i) lane[i % 32] += numbers[i];
  for (std::size_t half = 16; half > 0; half /= 2)
    for (std::size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

TYPED_TEST(blocks, losses_sum_classes_in_a_tree) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  const double scale = 0.3;
  for (Loss kind : {Loss::cross_entropy, Loss::mse})
    for (index_t V : {1, 3, 17, 33, 150})
      for (index_t leaves : {1, 2, 3, 5, 40}) {
        SCOPED_TRACE(std::string(name(kind)) + " " + text({V, {leaves, 1}}));
        const auto z = random_values<Scalar>(1, V);
        const index_t label = V / 2;
        A top = A(z[0]);
        for (Scalar value : z) top = std::max(top, A(value));
        const auto term = [&](index_t v) {
          if (kind == Loss::cross_entropy) return double(math::exp(A(A(z[v]) - top)));
          const double difference = double(z[v]) - (v == label ? 1.0 : 0.0);
          return difference * difference;
        };
        const double sum = tree(0, leaves, [&](index_t leaf) {
          std::vector<double> numbers;
          for (index_t v : elements({leaves, 1}, V, leaf)) numbers.push_back(term(v));
          return std::vector<double>{row_sum(numbers)};
        })[0];
        double expected_loss = sum / double(V);
        std::vector<Scalar> expected;
        for (index_t v = 0; v < V; ++v)
          expected.push_back(Scalar(A(2 * scale / double(V) * (double(z[v]) - (v == label ? 1.0 : 0.0)))));
        if (kind == Loss::cross_entropy) {
          const double share = scale / sum;
          for (index_t v = 0; v < V; ++v)
            expected[v] = v == label ? Scalar(A(term(v) * share - scale)) : Scalar(A(A(term(v)) * A(share)));
          expected_loss = std::log(sum) + (double(top) - double(z[label]));
        }
        for (const Exec& exec : instances()) {
          Context context(exec);
          const Placed<Scalar> logits(z, 1, V), dlogits(1, V);
          const Kokkos::View<double, Memory> got("got"), evaluated("evaluated");
          const Kokkos::View<index_t, Memory> correct("correct");
          const auto labels = to_device(std::vector<std::int32_t>{std::int32_t(label)});
          const LossOptions options{.kind = kind, .vocabulary_blocks = leaves};
          loss_forward_backward(context, options, logits.matrix(), labels, scale, dlogits.matrix(), got);
          loss_forward(context, options, logits.matrix(), labels, evaluated, correct);
          exec.fence();
          EXPECT_EQ(to_host(got)[0], expected_loss);
          EXPECT_EQ(to_host(evaluated)[0], expected_loss);
          EXPECT_TRUE(same_bits(dlogits.values(), expected));
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
