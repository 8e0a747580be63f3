// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/norm.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test {
namespace {

template <class Scalar>
class norm : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(norm, Scalars);

TYPED_TEST(norm, squared_is_the_sum_of_squares_whatever_the_threads_and_the_place) {
  using Scalar = TypeParam;
  for (index_t n : {0, 1, 3, 17, 33, 4095, 4096, 4097, 70001}) {
    const auto g = random_values<Scalar>(1, n);
    const double expected = reference::norm_squared(g);
    std::vector<double> first;
    for (const Exec& exec : instances())
      for (index_t offset : {0, 1, 3}) {
        Context context(exec);
        const Kokkos::View<double, Memory> sum("sum");
        Kokkos::deep_copy(sum, -1.0);
        norm_squared<Scalar>(context, to_device(g, offset), sum);
        exec.fence();
        // A term goes through 128 additions in its lane, 5 of the tree and one a chunk at most.
        const double roundings = 133 + double(n) / 4096;
        EXPECT_NEAR(to_host(sum)[0], expected, roundings * unit_roundoff<double> * expected) << n;
        if (first.empty()) first = to_host(sum);
        EXPECT_TRUE(same_bits(to_host(sum), first)) << n;
      }
  }
}

TYPED_TEST(norm, clipping_scales_to_the_largest_norm_and_leaves_less_alone) {
  using Scalar = TypeParam;
  Context context;
  const auto start = random_values<Scalar>(1, 1000);
  const double length = std::sqrt(reference::norm_squared(start));
  for (double most : {length * 2, length / 2, length / 10}) {
    const auto g = to_device(start, 1);
    const Kokkos::View<double, Memory> sum("sum");
    norm_squared<Scalar>(context, g, sum);
    clip_by_norm<Scalar>(Exec(), most, sum, g);
    Kokkos::fence();
    std::vector<Scalar> expected = start;
    const auto factor = accumulate_t<Scalar>(std::min(1.0, most / (std::sqrt(to_host(sum)[0]) + 1e-6)));
    for (Scalar& value : expected) value = Scalar(accumulate_t<Scalar>(value) * factor);
    EXPECT_TRUE(same_bits(to_host(g), expected));
    const double clipped = std::sqrt(reference::norm_squared(to_host(g)));
    EXPECT_NEAR(clipped, std::min(length, most), 1e-6 + 2 * unit_roundoff<Scalar> * length);
  }
}

TEST(norm_values, huge_floats_have_a_finite_norm_and_what_is_not_finite_shows) {
  Context context;
  const Kokkos::View<double, Memory> sum("sum");
  const float huge = std::numeric_limits<float>::max();
  norm_squared<float>(context, to_device(std::vector<float>(5000, huge)), sum);
  Kokkos::fence();
  EXPECT_TRUE(std::isfinite(to_host(sum)[0]));
  for (float bad : {HUGE_VALF, std::nanf("")}) {
    std::vector<float> g(5000, 1.0f);
    g[4500] = bad;
    const auto there = to_device(g);
    norm_squared<float>(context, there, sum);
    Kokkos::fence();
    EXPECT_FALSE(std::isfinite(to_host(sum)[0]));
  }
}

TEST(norm_values, a_norm_that_is_nan_makes_the_gradient_nan) {
  const Kokkos::View<double, Memory> sum("sum");
  Kokkos::deep_copy(sum, std::nan(""));
  const auto g = to_device(std::vector<float>(3, 1.0f));
  clip_by_norm<float>(Exec(), 1.0, sum, g);
  Kokkos::fence();
  for (float value : to_host(g)) EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace partita::kernels::test
