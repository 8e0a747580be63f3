// SPDX-License-Identifier: BSD-3-Clause
#include <bit>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <Kokkos_Core.hpp>

#include <partita/core/float16.hpp>
#include <partita/core/random.hpp>
#include <partita/core/types.hpp>

namespace {

using namespace partita;

static_assert(sizeof(bfloat16) == 2 && sizeof(float16) == 2);
static_assert(std::is_trivially_copyable_v<float16> && std::is_trivially_default_constructible_v<float16>);
static_assert(std::is_convertible_v<float16, float> && !std::is_convertible_v<float, float16>);
static_assert(float(bfloat16(1.0f)) == 1.0f && float16(-2).bits == 0xc000, "usable at compile time");
static_assert(std::is_same_v<decltype(float16(1) + bfloat16(1)), float>);
static_assert(std::is_same_v<accumulate_t<const double>, double> && std::is_same_v<accumulate_t<bfloat16>, float> &&
              std::is_same_v<accumulate_t<float>, float>);
static_assert(is_16_bit<const float16> && !is_16_bit<float>);

template <class Number>
class float16_types : public ::testing::Test {
 protected:
  using Limits = std::numeric_limits<Number>;
  static constexpr int fraction = Limits::digits - 1;
  static constexpr int exponent_bits = 15 - fraction;
  static constexpr int bias = (1 << (exponent_bits - 1)) - 1;

  static Number pattern(int bits) { return Number::from_bits(std::uint16_t(bits)); }
  static bool is_nan(int bits) { return (bits & 0x7fff) > Limits::infinity().bits; }

  /// The value of a pattern by the definition of the format.
  static double value(int bits) {
    const int exponent = (bits & 0x7fff) >> fraction, rest = bits & ((1 << fraction) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return rest == 0 ? sign * HUGE_VAL : std::nan("");
    if (exponent == 0) return sign * std::ldexp(rest, 1 - bias - fraction);
    return sign * std::ldexp((1 << fraction) + rest, exponent - bias - fraction);
  }
  /// The nearest number of the format, ties to even.
  static double nearest(double x) {
    if (x == 0 || !std::isfinite(x)) return x;
    const int exponent = std::max(std::ilogb(x), 1 - bias) - fraction;
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -exponent)), exponent);
    return std::abs(rounded) > value(Limits::max().bits) ? std::copysign(HUGE_VAL, x) : rounded;
  }
};
using Numbers = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(float16_types, Numbers);

TYPED_TEST(float16_types, every_pattern_has_its_value_and_comes_back) {
  for (int bits = 0; bits < 65536; ++bits) {
    const float as_float = this->pattern(bits);
    if (this->is_nan(bits)) {
      ASSERT_TRUE(std::isnan(as_float)) << bits;
      ASSERT_EQ(TypeParam(as_float).bits, bits | 1 << (this->fraction - 1)) << "quiet, with its payload";
    } else {
      ASSERT_EQ(double(as_float), this->value(bits)) << bits;
      ASSERT_EQ(std::signbit(as_float), (bits & 0x8000) != 0) << bits;
      ASSERT_EQ(TypeParam(as_float).bits, bits);
      ASSERT_EQ(TypeParam(double(as_float)).bits, bits);
    }
  }
}

TYPED_TEST(float16_types, halfway_goes_to_even_and_a_hair_beside_it_to_the_nearer) {
  const int infinite = std::numeric_limits<TypeParam>::infinity().bits;
  for (int low = 0; low < infinite; ++low) {
    const double above = low + 1 == infinite ? 2 * this->value(low) - this->value(low - 1) : this->value(low + 1);
    const auto middle = float((this->value(low) + above) / 2);
    const int even = low % 2 == 0 ? low : low + 1;
    for (int sign : {0, 0x8000}) {
      const float direction = sign == 0 ? 1.0f : -1.0f;
      ASSERT_EQ(TypeParam(direction * middle).bits, sign | even) << low;
      ASSERT_EQ(TypeParam(direction * std::nextafter(middle, 0.0f)).bits, sign | low) << low;
      ASSERT_EQ(TypeParam(direction * std::nextafter(middle, HUGE_VALF)).bits, sign | (low + 1)) << low;
      ASSERT_EQ(TypeParam(direction * std::nextafter(double(middle), 0.0)).bits, sign | low) << "rounded twice";
      ASSERT_EQ(TypeParam(direction * std::nextafter(double(middle), HUGE_VAL)).bits, sign | (low + 1)) << low;
    }
  }
}

TYPED_TEST(float16_types, any_float_goes_to_the_nearest) {
  for (std::uint64_t i = 0; i < 200000; ++i) {
    const auto x = std::bit_cast<float>(std::uint32_t(random_bits(1, Stream::test, i)));
    const TypeParam got(x);
    if (std::isnan(x))
      ASSERT_TRUE(std::isnan(float(got)));
    else
      ASSERT_EQ(double(float(got)), this->nearest(double(x))) << std::hexfloat << x;
  }
}

TYPED_TEST(float16_types, a_vectorised_loop_gives_the_same_bits) {
  constexpr index_t n = 65536 + 7;
  std::vector<float> wide(n), back(n);
  std::vector<TypeParam> narrow(n);
  for (index_t i = 0; i < n; ++i) wide[i] = std::bit_cast<float>(std::uint32_t(i) * 65537u);
  for (index_t i = 0; i < n; ++i) narrow[i] = TypeParam(wide[i]);
  for (index_t i = 0; i < n; ++i) back[i] = narrow[i];
  for (index_t i = 0; i < n; ++i) {
    ASSERT_EQ(narrow[i].bits, TypeParam(wide[i]).bits);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::bit_cast<std::uint32_t>(float(narrow[i])));
  }
}

template <class Number>
struct Convert {
  Vector<float> values;
  Vector<Number> back;
  KOKKOS_FUNCTION void operator()(int i) const {
    values(i) = Number::from_bits(std::uint16_t(i));
    back(i) = Number(values(i) * 1.001f);
  }
};

TYPED_TEST(float16_types, device_and_host_convert_alike) {
  const Vector<TypeParam> there("there", 65536);
  const Vector<float> values("values", 65536);
  Kokkos::parallel_for("partita::test::float16", Kokkos::RangePolicy<Exec>(0, 65536),
                       Convert<TypeParam>{values, there});
  const auto got = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), there);
  for (int i = 0; i < 65536; ++i) {
    const TypeParam here(float(this->pattern(i)) * 1.001f);
    ASSERT_TRUE(this->is_nan(i) || got(i).bits == here.bits) << i;
  }
}

TYPED_TEST(float16_types, limits_are_the_formats) {
  const bool brain = std::is_same_v<TypeParam, bfloat16>;
  EXPECT_EQ(float(TestFixture::Limits::epsilon()), brain ? 0x1p-7f : 0x1p-10f);
  EXPECT_EQ(float(TestFixture::Limits::max()), brain ? 0x1.fep127f : 65504.0f);
  EXPECT_EQ(float(TestFixture::Limits::lowest()), -float(TestFixture::Limits::max()));
  EXPECT_EQ(float(TestFixture::Limits::min()), brain ? 0x1p-126f : 0x1p-14f);
  EXPECT_EQ(float(TestFixture::Limits::denorm_min()), brain ? 0x1p-133f : 0x1p-24f);
  EXPECT_EQ(float(TestFixture::Limits::infinity()), HUGE_VALF);
  EXPECT_TRUE(std::isnan(float(TestFixture::Limits::quiet_NaN())));
}

TEST(float16, one_type_converts_to_the_other) {
  EXPECT_EQ(float(bfloat16(float16(1.5f))), 1.5f);
  EXPECT_EQ(float(float16(bfloat16(1e9f))), HUGE_VALF);
  EXPECT_LT(float16(1), bfloat16(2));
}

}  // namespace
