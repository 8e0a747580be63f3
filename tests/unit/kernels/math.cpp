// SPDX-License-Identifier: BSD-3-Clause
#include <bit>

#include <partita/kernels/math.hpp>

#include "support.hpp"

// float against the standard library in double over all of float's range; vector lanes against scalar calls.

namespace partita::kernels::test::math_tests {
namespace {

/// Every `step`-th pattern of 32 bits, and the ones at which something changes.
std::vector<float> floats(std::uint64_t step) {
  std::vector<float> all;
  for (std::uint64_t bits = 0; bits < std::uint64_t(1) << 32; bits += step)
    all.push_back(std::bit_cast<float>(std::uint32_t(bits)));
  for (float edge : {0.0f, 0.5f, 0.625f, 0.927734375f, 1.0f, 88.0f, 88.72283f, 88.72284f, 89.0f, 87.33654f, 103.97f,
                     104.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    for (float at : {std::nextafter(edge, 0.0f), edge, std::nextafter(edge, 1e9f)}) {
      all.push_back(at);
      all.push_back(-at);
    }
  return all;
}

/// |got - exact| in units of the last place of float(exact).
double ulps(float got, double exact) {
  const float nearest = float(exact);
  if (std::isnan(nearest)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(nearest) || !std::isfinite(got)) return got == nearest ? 0 : 1e9;
  int exponent;
  std::frexp(nearest, &exponent);
  return std::abs(double(got) - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

/// `loop` holds a loop that the compiler vectorises; volatile elements keep the other one scalar.
template <class Function, class Exact>
void check(Function function, Exact exact) {
  const std::vector<float> x = floats(9973);
  std::vector<float> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = function(x[i]);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    volatile float alone = x[i];
    const float scalar = function(alone);
    ASSERT_TRUE(std::isnan(scalar) ? std::isnan(y[i])
                                   : std::bit_cast<std::uint32_t>(scalar) == std::bit_cast<std::uint32_t>(y[i]))
        << x[i];
    worst = std::max(worst, ulps(y[i], exact(double(x[i]))));
  }
  EXPECT_LE(worst, 2.0);
}

TEST(math, exp_is_within_two_ulp) {
  check([](float x) { return math::exp(x); }, [](double x) { return std::exp(x); });
}
TEST(math, tanh_is_within_two_ulp) {
  check([](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); });
}
TEST(math, erf_is_within_two_ulp) {
  check([](float x) { return math::erf(x); }, [](double x) { return std::erf(x); });
}

TEST(math, signs_and_limits) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(math::exp(-infinity), 0.0f);
  EXPECT_EQ(math::exp(infinity), infinity);
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::tanh(-infinity), -1.0f);
  EXPECT_EQ(math::erf(infinity), 1.0f);
  EXPECT_TRUE(std::signbit(math::tanh(-0.0f)));
  EXPECT_TRUE(std::signbit(math::erf(-0.0f)));
  EXPECT_EQ(math::fused(3.0f, 5.0f, -1.0f), 14.0f);
}

TEST(math, double_is_the_standard_library) {
  for (double x : {-3.0, 0.1, 2.5}) {
    EXPECT_DOUBLE_EQ(math::exp(x), std::exp(x));
    EXPECT_DOUBLE_EQ(math::tanh(x), std::tanh(x));
    EXPECT_DOUBLE_EQ(math::erf(x), std::erf(x));
  }
}

}  // namespace
}  // namespace partita::kernels::test::math_tests
