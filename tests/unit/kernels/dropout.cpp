// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test {
namespace {

template <class Scalar>
class dropout_types : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(dropout_types, Scalars);

TYPED_TEST(dropout_types, keeps_what_the_reference_keeps_wherever_the_range_begins) {
  using Scalar = TypeParam;
  const double rate = 0.3;
  const Exec exec;
  for (index_t n : {0, 1, 3, 17, 33, 1000})
    for (index_t first : {index_t(0), index_t(1), index_t(255), index_t(256), index_t(4000), index_t(1) << 40}) {
      const DropoutOptions options{.rate = rate, .seed = 7, .layer = 2, .step = 5, .first = first};
      const auto x = random_values<Scalar>(1, n);
      std::vector<Scalar> expected;
      const auto factor = accumulate_t<Scalar>(1 / (1 - rate));
      for (index_t i = 0; i < n; ++i)
        expected.push_back(
            Scalar(accumulate_t<Scalar>(x[i]) * (reference::dropout_keeps(options, first + i) ? factor : 0)));
      const Placed<Scalar> y(1, n, {1, 2}), in_place(x, 1, n, {3, 1});
      const Vector<Scalar> both(in_place.matrix().data(), n);
      dropout<Scalar>(exec, options, to_device(x, first % 3), Vector<Scalar>(y.matrix().data(), n));
      dropout<Scalar>(exec, options, both, both);
      exec.fence();
      EXPECT_TRUE(same_bits(y.values(), expected)) << n << " from " << first;
      EXPECT_TRUE(same_bits(in_place.values(), expected));
      EXPECT_TRUE(y.surroundings_untouched() && in_place.surroundings_untouched());
    }
}

std::vector<float> mask(const DropoutOptions& options, index_t n) {
  const Vector<float> x("x", n), y("y", n);
  Kokkos::deep_copy(x, 1.0f);
  dropout<float>(Exec(), options, x, y);
  Kokkos::fence();
  return to_host(y);
}

TEST(dropout, share_of_zeros_is_the_rate_and_the_mean_stays) {
  constexpr index_t n = 1 << 18;
  for (double rate : {0.0, 0.1, 0.5, 0.9}) {
    const auto y = mask({.rate = rate, .seed = 3}, n);
    const double sigma = std::sqrt(rate * (1 - rate) / double(n));  // of the share of zeros
    const auto zeros = double(std::count(y.begin(), y.end(), 0.0f));
    EXPECT_NEAR(zeros / double(n), rate, 5 * sigma);
    for (float value : y) EXPECT_TRUE(value == 0.0f || value == float(1 / (1 - rate)));
  }
}

/// Masks of other seeds, layers, steps and places agree as often as independent ones do.
TEST(dropout, each_of_seed_layer_step_and_place_draws_anew) {
  constexpr index_t n = 1 << 16;
  const DropoutOptions base{.rate = 0.5, .seed = 1, .layer = 1, .step = 1, .first = 0};
  const auto one = mask(base, n);
  for (int which = 0; which < 4; ++which) {
    DropoutOptions other = base;
    (which == 0 ? other.seed : which == 1 ? other.layer : other.step) += which < 3;
    if (which == 3) other.first = n;
    const auto two = mask(other, n);
    index_t equal = 0;
    for (index_t i = 0; i < n; ++i) equal += one[i] == two[i];
    EXPECT_NEAR(double(equal) / n, 0.5, 5 * 0.5 / std::sqrt(double(n))) << which;
  }
}

TEST(dropout, no_rate_is_the_identity_and_nan_stays) {
  const auto x = to_device(std::vector<float>(600, std::nanf("")));
  dropout<float>(Exec(), {.rate = 0.5}, x, x);
  Kokkos::fence();
  for (float value : to_host(x)) EXPECT_TRUE(std::isnan(value));
  EXPECT_EQ(mask({.rate = 0}, 5), std::vector<float>(5, 1.0f));
}

TEST(dropout, bad_arguments_are_errors) {
  const Vector<float> x("x", 3), y("y", 4);
  EXPECT_THROW(dropout<float>(Exec(), {}, x, y), ShapeError);
  EXPECT_THROW(dropout<float>(Exec(), {.first = -1}, x, x), ShapeError);
  EXPECT_THROW(dropout<float>(Exec(), {.rate = 1.0}, x, x), UsageError);
  EXPECT_THROW(dropout<float>(Exec(), {.rate = -0.1}, x, x), UsageError);
}

}  // namespace
}  // namespace partita::kernels::test
