// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test {
namespace {

const std::vector<Activation> activations = {Activation::identity, Activation::relu, Activation::tanh,
                                             Activation::sigmoid};

/// A host and a device may round tanh and exp differently by so many units of roundoff; on one host they are the same.
constexpr double elementary_error = 8;

template <class Scalar>
class activation : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(activation, Scalars);

TYPED_TEST(activation, forward_matches_the_definition) {
  using Scalar = TypeParam;
  for (Activation kind : activations)
    for (index_t B : odd_sizes)
      for (index_t N : {index_t(0), index_t(1), index_t(33), index_t(1500)})
        for (Placement p : placements) {
          const auto z = random_values<Scalar>(1, B * N);
          const Placed<Scalar> y(z, B, N, p);
          activation_forward(Exec(), kind, y.matrix());
          Kokkos::fence();
          std::vector<Scalar> expected;
          for (Scalar value : z) {
            const double d = double(value);
            expected.push_back(kind == Activation::relu      ? Scalar(std::max(d, 0.0))
                               : kind == Activation::tanh    ? Scalar(std::tanh(d))
                               : kind == Activation::sigmoid ? Scalar(1 / (1 + std::exp(-d)))
                                                             : value);
          }
          const double bound =
              kind == Activation::tanh || kind == Activation::sigmoid ? elementary_error * unit_roundoff<Scalar> : 0.0;
          EXPECT_TRUE(within(y.values(), expected, std::vector<double>(z.size(), bound)));
          EXPECT_TRUE(y.surroundings_untouched());
        }
}

TYPED_TEST(activation, backward_is_the_slope_times_dy) {
  using Scalar = TypeParam;
  for (Activation kind : activations)
    for (index_t B : odd_sizes)
      for (index_t N : {index_t(0), index_t(1), index_t(17), index_t(1500)})
        for (Placement p : placements) {
          auto y = random_values<Scalar>(1, B * N);
          for (Scalar& value : y) value = activate(kind, value);
          const auto dy = random_values<Scalar>(2, B * N);
          const Placed<Scalar> y_placed(y, B, N, p), dy_placed(dy, B, N, p);
          activation_backward(Exec(), kind, y_placed.matrix(), dy_placed.matrix());
          Kokkos::fence();
          EXPECT_TRUE(same_bits(dy_placed.values(), reference::activation_backward(kind, y, dy)));
          EXPECT_TRUE(dy_placed.surroundings_untouched());
          EXPECT_TRUE(same_bits(y_placed.values(), y));
        }
}

TYPED_TEST(activation, slope_is_the_derivative) {
  using Scalar = TypeParam;
  const double h = std::cbrt(std::numeric_limits<double>::epsilon());
  for (Activation kind : activations)
    for (double z : {-2.0, -0.5, 0.3, 1.7}) {
      const double slope = (activate(kind, z + h) - activate(kind, z - h)) / (2 * h);
      EXPECT_NEAR(double(activate_slope(kind, activate(kind, Scalar(z)))), slope,
                  10 * h * h + 4 * unit_roundoff<Scalar>);
    }
}

TEST(activation_kinds, relu_slope_at_zero_is_zero_and_names_are_the_decks) {
  EXPECT_EQ(activate_slope(Activation::relu, 0.0f), 0.0f);
  EXPECT_EQ(name(Activation::identity), "identity");
  EXPECT_EQ(name(Activation::relu), "relu");
  EXPECT_EQ(name(Activation::tanh), "tanh");
  EXPECT_EQ(name(Activation::sigmoid), "sigmoid");
}

TEST(activation_kinds, shape_error_names_both_shapes) {
  const Matrix<float> y("y", 3, 4), dy("dy", 4, 3);
  try {
    activation_backward(Exec(), Activation::relu, y, dy);
    FAIL() << "no ShapeError";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "activation_backward: dy is (4, 3), y is (3, 4): expected the same shape (B, N)");
  }
}

}  // namespace
}  // namespace partita::kernels::test
