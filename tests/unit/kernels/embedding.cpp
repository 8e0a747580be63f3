// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/embedding.hpp>

#include "numbers.hpp"

namespace partita::kernels::test::embedding_tests {
namespace {

std::vector<std::int32_t> some_tokens(index_t n, index_t V) {
  std::vector<std::int32_t> tokens;
  for (index_t i = 0; i < n; ++i)
    tokens.push_back(std::int32_t(random_bits(9, Stream::test, std::uint64_t(i)) % std::uint64_t(V)));
  return tokens;
}

/// The reference's arithmetic in that of Scalar: sums of rows in ascending order round as the kernel's do.
template <class Scalar>
std::vector<accumulate_t<Scalar>> sums_in_order(index_t T, const std::vector<std::int32_t>& tokens,
                                                const std::vector<Scalar>& dy, index_t V, index_t C) {
  using A = accumulate_t<Scalar>;
  std::vector<A> sums((V + T) * C, A(0));
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c) {
      if (tokens[i] >= 0 && tokens[i] < V) sums[tokens[i] * C + c] += A(dy[i * C + c]);
      sums[(V + i % T) * C + c] += A(dy[i * C + c]);
    }
  return sums;
}

template <class Scalar>
class embedding : public ::testing::Test {};
TYPED_TEST_SUITE(embedding, AllScalars);

TYPED_TEST(embedding, agrees_with_the_reference) {
  using Scalar = TypeParam;
  Context context;
  for (Placement p : placements)
    for (index_t T : {1, 3, 17})
      for (index_t B : {0, 1, 3})
        for (index_t C : {0, 1, 3, 17, 33, 300})
          for (bool positions : {false, true}) {
            const index_t V = 7;
            auto tokens = some_tokens(B * T, V);
            if (tokens.size() > 4) tokens[2] = -1, tokens[4] = std::int32_t(V);
            const auto W = random_values<Scalar>(1, V * C), dy = random_values<Scalar>(3, B * T * C);
            const auto P = random_values<Scalar>(2, positions ? T * C : 0);
            const Placed<Scalar> W_placed(W, V, C, p), P_placed(P, positions ? T : 0, C, p), y(B * T, C, p),
                dy_placed(dy, B * T, C, p);
            using A = accumulate_t<Scalar>;
            const auto there = random_values<A>(4, V * C), P_there = random_values<A>(5, positions ? T * C : 0);
            const Placed<A> dW(V, C, p), dP(positions ? T : 0, C, p), dW_added(there, V, C, p),
                dP_added(P_there, positions ? T : 0, C, p);
            const auto on_device = to_device(tokens, p.offset);
            embedding_forward(Exec(), T, on_device, W_placed.matrix(), P_placed.matrix(), y.matrix());
            embedding_backward_weights<Scalar>(context, {.tokens = T}, Store::overwrite, on_device, dy_placed.matrix(),
                                               dW.matrix(), dP.matrix());
            embedding_backward_weights<Scalar>(context, {.tokens = T}, Store::accumulate, on_device, dy_placed.matrix(),
                                               dW_added.matrix(), dP_added.matrix());
            Kokkos::fence();
            EXPECT_TRUE(y.surroundings_untouched() && dW.surroundings_untouched() && dP.surroundings_untouched());
            const auto expected = reference::embedding_forward(T, tokens, in_double(W), in_double(P), V, C);
            const auto values = y.values();
            for (std::size_t i = 0; i < values.size(); ++i) {
              if (std::isnan(expected[i]))
                EXPECT_TRUE(std::isnan(double(values[i])));
              else
                EXPECT_EQ(double(values[i]), double(Scalar(accumulate_t<Scalar>(expected[i]))));
            }
            auto sums = sums_in_order(T, tokens, dy, V, C);
            EXPECT_TRUE(close(sums, reference::embedding_backward_weights(T, tokens, in_double(dy), V, C),
                              double(B * T) * double(B * T) * 5 * roundoff<Scalar>));
            EXPECT_TRUE(dW_added.surroundings_untouched() && dP_added.surroundings_untouched());
            const auto joined = [](auto first, const auto& second) {
              first.insert(first.end(), second.begin(), second.end());
              return first;
            };
            if (!positions) sums.resize(V * C);
            EXPECT_TRUE(same_bits(joined(dW.values(), dP.values()), sums));
            const auto before = joined(there, P_there);
            for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += before[i];
            EXPECT_TRUE(same_bits(joined(dW_added.values(), dP_added.values()), sums));
          }
}

TYPED_TEST(embedding, any_number_of_threads_gives_the_same_bits) {
  using Scalar = TypeParam;
  const index_t B = 5, T = 20, V = 11, C = 130;
  const auto tokens = some_tokens(B * T, V);
  const auto dy = random_values<Scalar>(3, B * T * C);
  const auto expected = sums_in_order(T, tokens, dy, V, C);
  for (const Exec& exec : instances()) {
    Context context(exec);
    const Placed<Scalar> dy_placed(dy, B * T, C, {3, 5});
    const Placed<accumulate_t<Scalar>> dW(V, C), dP(T, C);
    embedding_backward_weights<Scalar>(context, {.tokens = T}, Store::overwrite, to_device(tokens), dy_placed.matrix(),
                                       dW.matrix(), dP.matrix());
    exec.fence();
    auto got = dW.values();
    for (accumulate_t<Scalar> value : dP.values()) got.push_back(value);
    EXPECT_TRUE(same_bits(got, expected));
  }
}

TEST(embedding_gradient, is_the_slope_in_double) {
  const index_t T = 3, V = 4, C = 2;
  const std::vector<std::int32_t> tokens = {0, 3, 0, 1, 3, 3};
  const auto W = random_values<double>(1, V * C), P = random_values<double>(2, T * C),
             dy = random_values<double>(3, index_t(tokens.size()) * C);
  const auto loss = [&](const std::vector<double>& words, const std::vector<double>& positions) {
    const Placed<double> W_placed(words, V, C), P_placed(positions, T, C), y(6, C);
    embedding_forward(Exec(), T, to_device(tokens), W_placed.matrix(), P_placed.matrix(), y.matrix());
    Kokkos::fence();
    return product(y.values(), dy);
  };
  const Placed<double> dy_placed(dy, 6, C), dW(V, C), dP(T, C);
  Context context;
  embedding_backward_weights<double>(context, {.tokens = T}, Store::overwrite, to_device(tokens), dy_placed.matrix(),
                                     dW.matrix(), dP.matrix());
  Kokkos::fence();
  expect_slope([&](const auto& at) { return loss(at, P); }, W, dW.values());
  expect_slope([&](const auto& at) { return loss(W, at); }, P, dP.values());
}

TEST(embedding_shapes, errors_name_operand_and_extents) {
  const Matrix<float> W("W", 7, 4), P("P", 3, 4), y("y", 6, 4), narrow("y", 6, 5);
  const Vector<std::int32_t> tokens("tokens", 6);
  const auto message = [&](index_t T, Matrix<float> words, Matrix<float> positions, Matrix<float> out) {
    return caught<ShapeError>([&] { embedding_forward<float>(Exec(), T, tokens, words, positions, out); });
  };
  EXPECT_EQ(message(3, W, P, W),
            "embedding_forward: y has 7 rows, tokens has 6 elements: expected one row (B T, C) a token (B T)");
  EXPECT_EQ(message(3, W, P, narrow), "embedding_forward: W has 4 columns, y has 5 columns: expected the same C");
  EXPECT_EQ(message(2, W, P, y), "embedding_forward: P has 3 rows, T is 2: expected P (T, C)");
  EXPECT_EQ(message(0, W, P, y), "embedding_forward: T is 0: expected at least 1");
}

}  // namespace
}  // namespace partita::kernels::test::embedding_tests
