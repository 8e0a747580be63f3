// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>

#include <nlohmann/json.hpp>

#include <partita/core/error.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::activation_tests {
namespace {

constexpr Activation activations[] = {Activation::identity, Activation::relu, Activation::tanh,
                                      Activation::sigmoid,  Activation::gelu, Activation::gelu_tanh,
                                      Activation::silu};

/// Rounding of the result, and of a dozen operations on numbers that an argument of size |z| makes grow with z^2 at
/// most (gelu_tanh's slope); exp, tanh and erf count for two units each.
template <class Scalar>
double bound(Activation kind, double z, double value) {
  if (kind == Activation::identity || kind == Activation::relu) return 0;
  return 1.01 * unit_roundoff<Scalar> * std::abs(value) + 12 * unit_roundoff<accumulate_t<Scalar>> * (1 + z * z);
}

template <class Scalar>
class activation : public ::testing::Test {
 protected:
  /// Compares got with f(z), element by element.
  template <class Function>
  static void expect(Activation kind, const std::vector<Scalar>& z, const Placed<Scalar>& got, Function value) {
    std::vector<Scalar> expected;
    std::vector<double> bounds;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double exact = value(i);
      expected.push_back(Scalar(exact));
      bounds.push_back(2 * bound<Scalar>(kind, double(z[i]), exact));  // the expected one is rounded, too
    }
    EXPECT_TRUE(within(got.values(), expected, bounds)) << name(kind);
    EXPECT_TRUE(got.surroundings_untouched());
  }
};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(activation, Scalars);

TYPED_TEST(activation, forward_matches_the_definition) {
  using Scalar = TypeParam;
  for (Activation kind : activations)
    for (index_t B : odd_sizes)
      for (index_t N : {0, 1, 33, 2500})
        for (Placement p : placements) {
          if (B > 3 && N > 33) continue;  // 2500 columns are more than a task's
          const auto z = random_values<Scalar>(1, B * N);
          const Placed<Scalar> x(z, B, N, p), y(B, N, {p.pad, p.offset}), in_place(z, B, N, p);
          activation_forward<Scalar>(Exec(), kind, x.matrix(), y.matrix());
          activation_forward<Scalar>(Exec(), kind, in_place.matrix());
          Kokkos::fence();
          this->expect(kind, z, y, [&](std::size_t i) { return reference::activation(kind, double(z[i])); });
          EXPECT_TRUE(same_bits(in_place.values(), y.values()));
          EXPECT_TRUE(in_place.surroundings_untouched());
        }
}

TYPED_TEST(activation, backward_from_the_output_is_the_slope_times_dy) {
  using Scalar = TypeParam;
  for (Activation kind : activations)
    for (index_t B : odd_sizes)
      for (index_t N : {0, 1, 17, 2500})
        for (Placement p : placements) {
          if (B > 3 && N > 33) continue;  // 2500 columns are more than a task's
          if (!slope_from_output(kind)) continue;
          auto y = random_values<Scalar>(1, B * N);
          for (Scalar& value : y) value = Scalar(activate(kind, accumulate_t<Scalar>(value)));
          const auto dy = random_values<Scalar>(2, B * N);
          const Placed<Scalar> y_placed(y, B, N, p), dy_placed(dy, B, N, p);
          activation_backward<Scalar>(Exec(), kind, y_placed.matrix(), dy_placed.matrix());
          Kokkos::fence();
          EXPECT_TRUE(same_bits(dy_placed.values(), reference::activation_backward(kind, y, dy)));
          EXPECT_TRUE(dy_placed.surroundings_untouched());
          EXPECT_TRUE(same_bits(y_placed.values(), y));
        }
}

TYPED_TEST(activation, backward_from_the_input_is_the_slope_times_dy) {
  using Scalar = TypeParam;
  for (Activation kind : activations)
    for (index_t B : odd_sizes)
      for (index_t N : {0, 1, 17, 2500})
        for (Placement p : placements) {
          if (B > 3 && N > 33) continue;  // 2500 columns are more than a task's
          const auto z = random_values<Scalar>(1, B * N);
          auto dy = random_values<Scalar>(2, B * N);
          for (Scalar& value : dy) value = Scalar(value > Scalar(0) ? 0.5 : -1);  // no rounding of its own
          const Placed<Scalar> x(z, B, N, p), dx(B, N, {p.pad, p.offset}), in_place(dy, B, N, p);
          activation_backward_from_input<Scalar>(Exec(), kind, x.matrix(), in_place.matrix(), dx.matrix());
          activation_backward_from_input<Scalar>(Exec(), kind, x.matrix(), in_place.matrix(), in_place.matrix());
          Kokkos::fence();
          this->expect(kind, z, dx,
                       [&](std::size_t i) { return double(dy[i]) * reference::activation_slope(kind, double(z[i])); });
          EXPECT_TRUE(same_bits(in_place.values(), dx.values()));
          EXPECT_TRUE(in_place.surroundings_untouched());
        }
}

TEST(activation_slopes, are_the_derivatives) {
  const double h = std::cbrt(std::numeric_limits<double>::epsilon());
  for (Activation kind : activations)
    for (double z : {-6.0, -2.0, -0.5, 0.3, 1.7, 5.0}) {
      const double slope = (activate(kind, z + h) - activate(kind, z - h)) / (2 * h);
      EXPECT_NEAR(activate_slope_from_input(kind, z), slope, 10 * h * h) << name(kind) << z;
      EXPECT_NEAR(reference::activation_slope(kind, z), slope, 10 * h * h) << name(kind) << z;
      if (slope_from_output(kind)) {
        EXPECT_NEAR(activate_slope(kind, activate(kind, z)), slope, 10 * h * h) << name(kind) << z;
      }
    }
}

TEST(activation_slopes, stored_pytorch_values_are_reproduced) {
  std::ifstream file("tests/unit/kernels/data/activation_cases.json");  // tests run in the project's root
  const nlohmann::json document = nlohmann::json::parse(file);
  ASSERT_EQ(document["cases"].size(), 6u);
  const auto z = document["x"].get<std::vector<float>>();
  const auto dy = document["dy"].get<std::vector<float>>();
  const auto n = index_t(z.size());
  for (const auto& c : document["cases"]) {
    const Activation kind = *std::find_if(std::begin(activations), std::end(activations),
                                          [&](Activation a) { return name(a) == c["kind"].get<std::string>(); });
    const Placed<float> x(z, 1, n), given(dy, 1, n), y(1, n), dx(1, n);
    activation_forward<float>(Exec(), kind, x.matrix(), y.matrix());
    activation_backward_from_input<float>(Exec(), kind, x.matrix(), given.matrix(), dx.matrix());
    Kokkos::fence();
    std::vector<double> y_bound, dx_bound;
    for (index_t i = 0; i < n; ++i) {
      y_bound.push_back(2 * bound<float>(kind, z[i], c["y"][i]));
      dx_bound.push_back(2 * bound<float>(kind, z[i], c["dx"][i]) * (1 + std::abs(dy[i])));
    }
    EXPECT_TRUE(within(y.values(), c["y"].get<std::vector<float>>(), y_bound)) << c["kind"];
    EXPECT_TRUE(within(dx.values(), c["dx"].get<std::vector<float>>(), dx_bound)) << c["kind"];
  }
}

TEST(activation_kinds, far_out_they_are_what_they_tend_to) {
  for (Activation kind : {Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    EXPECT_EQ(activate(kind, 1e4f), 1e4f) << name(kind);
    EXPECT_EQ(activate(kind, -1e4f), 0.0f) << name(kind);
    EXPECT_EQ(activate_slope_from_input(kind, 1e4f), 1.0f) << name(kind);
    EXPECT_EQ(activate_slope_from_input(kind, -1e4f), 0.0f) << name(kind);
  }
}

TEST(activation_kinds, nan_stays) {
  for (Activation kind : activations) EXPECT_TRUE(std::isnan(activate(kind, std::nanf("")))) << name(kind);
}

TEST(activation_kinds, relu_slope_at_zero_is_zero_and_names_are_the_decks) {
  EXPECT_EQ(activate_slope(Activation::relu, 0.0f), 0.0f);
  EXPECT_EQ(activate_slope_from_input(Activation::relu, 0.0f), 0.0f);
  std::string names;
  for (Activation kind : activations) names += std::string(name(kind)) + " ";
  EXPECT_EQ(names, "identity relu tanh sigmoid gelu gelu_tanh silu ");
}

TEST(activation_kinds, errors_name_both_shapes_or_the_way_out) {
  const Matrix<float> y("y", 3, 4), dy("dy", 4, 3);
  EXPECT_EQ(caught<Error>([&] { activation_backward(Exec(), Activation::relu, y, dy); }),
            "activation_backward: dy is (4, 3), y is (3, 4): expected the same shape (B, N)");
  EXPECT_EQ(caught<Error>([&] { activation_forward(Exec(), Activation::relu, y, dy); }),
            "activation_forward: y is (4, 3), x is (3, 4): expected the same shape (B, N)");
  EXPECT_EQ(caught<Error>([&] { activation_backward_from_input(Exec(), Activation::relu, y, y, dy); }),
            "activation_backward_from_input: dx is (4, 3), x is (3, 4): expected the same shape (B, N)");
  EXPECT_EQ(
      caught<Error>([&] { activation_backward(Exec(), Activation::gelu, y, y); }),
      "activation_backward: the slope of gelu is no function of its output: expected activation_backward_from_input");
}

}  // namespace
}  // namespace partita::kernels::test::activation_tests
