// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/embedding.hpp>

#include "numbers.hpp"

namespace partita::kernels::test::embedding_bag_tests {
namespace {

std::vector<std::int32_t> some_tokens(index_t n, index_t V) {
  std::vector<std::int32_t> tokens;
  for (index_t i = 0; i < n; ++i)
    tokens.push_back(std::int32_t(random_bits(9, Stream::test, std::uint64_t(i)) % std::uint64_t(V)));
  return tokens;
}

/// In the arithmetic and order of the kernel.
template <class Scalar>
std::vector<accumulate_t<Scalar>> sums_in_order(index_t T, const std::vector<std::int32_t>& tokens,
                                                const std::vector<Scalar>& dy, index_t V, index_t C) {
  using A = accumulate_t<Scalar>;
  std::vector<A> sums(V * C, A(0));
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c)
      if (tokens[i] >= 0 && tokens[i] < V) sums[tokens[i] * C + c] += A(1) / A(T) * A(dy[i / T * C + c]);
  return sums;
}

template <class Scalar>
class embedding_bag : public ::testing::Test {};
TYPED_TEST_SUITE(embedding_bag, AllScalars);

TYPED_TEST(embedding_bag, agrees_with_the_reference) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  Context context;
  const index_t V = 7;
  for (Placement p : placements)
    for (index_t T : {1, 3, 17})
      for (index_t B : {0, 1, 3})
        for (index_t C : {0, 1, 3, 17, 33, 300}) {
          auto tokens = some_tokens(B * T, V);
          if (tokens.size() > 4) tokens[2] = -1, tokens[4] = std::int32_t(V);
          const auto W = random_values<Scalar>(1, V * C), dy = random_values<Scalar>(3, B * C);
          const auto there = random_values<A>(4, V * C);
          const Placed<Scalar> W_placed(W, V, C, p), y(B, C, p), dy_placed(dy, B, C, p);
          const Placed<A> dW(V, C, p), dW_added(there, V, C, p);
          const auto on_device = to_device(tokens, p.offset);
          embedding_bag_forward(Exec(), T, on_device, W_placed.matrix(), y.matrix());
          embedding_bag_backward_weights<Scalar>(context, T, Store::overwrite, on_device, dy_placed.matrix(),
                                                 dW.matrix());
          embedding_bag_backward_weights<Scalar>(context, T, Store::accumulate, on_device, dy_placed.matrix(),
                                                 dW_added.matrix());
          Kokkos::fence();
          EXPECT_TRUE(y.surroundings_untouched() && dW.surroundings_untouched() && dW_added.surroundings_untouched());
          // T additions of numbers up to 5, a product, the rounding of 1/T, and of y as it is stored.
          const double tolerance = 5 * (double(T + 2) * roundoff<Scalar> + unit_roundoff<Scalar>);
          const auto expected = reference::embedding_bag_forward(T, tokens, in_double(W), V, C);
          const auto values = y.values();
          ASSERT_EQ(values.size(), expected.size());
          for (std::size_t i = 0; i < values.size(); ++i) {
            if (std::isnan(expected[i]))
              EXPECT_TRUE(std::isnan(double(values[i]))) << i;
            else
              EXPECT_NEAR(double(values[i]), expected[i], tolerance) << i;
          }
          auto sums = sums_in_order(T, tokens, dy, V, C);
          EXPECT_TRUE(close(sums, reference::embedding_bag_backward_weights(T, tokens, in_double(dy), V, C),
                            double(B * T) * double(B * T) * 5 * roundoff<Scalar>));
          EXPECT_TRUE(same_bits(dW.values(), sums));
          for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += there[i];
          EXPECT_TRUE(same_bits(dW_added.values(), sums));
        }
}

TYPED_TEST(embedding_bag, any_number_of_threads_gives_the_same_bits) {
  using Scalar = TypeParam;
  const index_t B = 9, T = 20, V = 11, C = 130;
  const auto tokens = some_tokens(B * T, V);
  const auto dy = random_values<Scalar>(3, B * C);
  const auto expected = sums_in_order(T, tokens, dy, V, C);
  for (const Exec& exec : instances()) {
    Context context(exec);
    const Placed<Scalar> dy_placed(dy, B, C, {3, 5});
    const Placed<accumulate_t<Scalar>> dW(V, C);
    embedding_bag_backward_weights<Scalar>(context, T, Store::overwrite, to_device(tokens), dy_placed.matrix(),
                                           dW.matrix());
    exec.fence();
    EXPECT_TRUE(same_bits(dW.values(), expected));
  }
}

TEST(embedding_bag_gradient, is_the_slope_in_double) {
  const index_t T = 3, V = 4, C = 2, B = 3;
  const std::vector<std::int32_t> tokens = {0, 3, 0, 1, 3, 3, 2, 0, 1};
  const auto W = random_values<double>(1, V * C), dy = random_values<double>(3, B * C);
  const auto loss = [&](const std::vector<double>& words) {
    const Placed<double> W_placed(words, V, C), y(B, C);
    embedding_bag_forward(Exec(), T, to_device(tokens), W_placed.matrix(), y.matrix());
    Kokkos::fence();
    return product(y.values(), dy);
  };
  const Placed<double> dy_placed(dy, B, C), dW(V, C);
  Context context;
  embedding_bag_backward_weights<double>(context, T, Store::overwrite, to_device(tokens), dy_placed.matrix(),
                                         dW.matrix());
  Kokkos::fence();
  expect_slope(loss, W, dW.values());
}

TEST(embedding_bag_shapes, errors_name_operand_and_extents) {
  const Matrix<float> W("W", 7, 4), y("y", 2, 4), narrow("y", 2, 5);
  const Vector<std::int32_t> tokens("tokens", 6);
  const auto message = [&](index_t T, Matrix<float> out) {
    return caught<ShapeError>([&] { embedding_bag_forward<float>(Exec(), T, tokens, W, out); });
  };
  EXPECT_EQ(message(3, y), "nothing was thrown");
  EXPECT_EQ(message(2, y),
            "embedding_bag_forward: y has 2 rows, tokens has 6 elements, T is 2: expected tokens (B T) for a row (B, "
            "C) each");
  EXPECT_EQ(message(3, narrow), "embedding_bag_forward: W has 4 columns, y has 5 columns: expected the same C");
  EXPECT_EQ(message(0, y), "embedding_bag_forward: T is 0: expected at least 1");
}

}  // namespace
}  // namespace partita::kernels::test::embedding_bag_tests
