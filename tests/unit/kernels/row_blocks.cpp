// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/embedding.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/math.hpp>

#include "cut_sums.hpp"

// Norms, embeddings and losses whose sums are cut.

namespace partita::kernels::test::row_blocks_tests {
namespace {

template <class Scalar>
class row_blocks : public ::testing::Test {};
TYPED_TEST_SUITE(row_blocks, BlockScalars);

/// A leaf is 16 runs of its rows, added in order.
TYPED_TEST(row_blocks, norms_backward_weights_sums_tokens_in_a_tree) {
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
TYPED_TEST(row_blocks, embedding_backward_weights_sums_tokens_in_a_tree) {
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

TYPED_TEST(row_blocks, losses_sum_classes_in_a_tree) {
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

}  // namespace
}  // namespace partita::kernels::test::row_blocks_tests
