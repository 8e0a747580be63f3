// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include <Kokkos_Macros.hpp>

// Numbers of 16 bits: types for storage, whose arithmetic is that of float. Own ones, so that host and device, with or
// without instructions for them, round alike; conversions have no branch, so that loops over them vectorise.

namespace partita {

namespace detail {

/// bfloat16: a float's sign, exponent and first 7 bits of fraction.
struct BrainFormat {
  static constexpr int exponent_bits = 8, fraction_bits = 7;

  KOKKOS_INLINE_FUNCTION static constexpr float to_float(std::uint16_t bits) {
    return __builtin_bit_cast(float, std::uint32_t(bits) << 16);
  }
  KOKKOS_INLINE_FUNCTION static constexpr std::uint16_t from_float(float value) {
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;  // a carry into the exponent is right
    const std::uint32_t quiet = bits >> 16 | 0x40u;
    return std::uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
};

/// IEEE 754 binary16. After F. Giesen, "float->half variants" (public domain, 2012): sums of floats that align the
/// fraction do the work for subnormal numbers, without an operand or a result that is a subnormal float.
struct HalfFormat {
  static constexpr int exponent_bits = 5, fraction_bits = 10;

  KOKKOS_INLINE_FUNCTION static constexpr float to_float(std::uint16_t bits) {
    const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
    const std::uint32_t normal = magnitude + (112u << 23);  // 112: difference of the exponents' biases
    const std::uint32_t special = magnitude + (224u << 23);
    const float aligned = __builtin_bit_cast(float, magnitude + (113u << 23)) - 0x1p-14f;
    const auto subnormal = __builtin_bit_cast(std::uint32_t, aligned);
    const std::uint32_t finite = magnitude < (1u << 23) ? subnormal : normal;
    const std::uint32_t any = magnitude < (31u << 23) ? finite : special;
    return __builtin_bit_cast(float, any | std::uint32_t(bits & 0x8000u) << 16);
  }
  KOKKOS_INLINE_FUNCTION static constexpr std::uint16_t from_float(float value) {
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    const std::uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    const std::uint32_t small = magnitude < (113u << 23) ? magnitude : 0u;  // below the least normal number
    const float aligned = __builtin_bit_cast(float, small) + 0.5f;          // rounds at 2^-24
    const std::uint32_t subnormal = __builtin_bit_cast(std::uint32_t, aligned) - (126u << 23);
    const std::uint32_t special = magnitude > 0x7f800000u ? (magnitude >> 13 & 0x3ffu) | 0x7e00u : 0x7c00u;
    const std::uint32_t finite = magnitude < (113u << 23) ? subnormal : normal;
    const std::uint32_t any = magnitude < (143u << 23) ? finite : special;  // 2^16; what rounds to it carries over
    return std::uint16_t(any | (bits >> 16 & 0x8000u));
  }
};

/// The float next to `value` whose last bit is odd unless exact: rounding that to fewer bits rounds `value` once.
KOKKOS_INLINE_FUNCTION constexpr float to_odd(double value) {
  const auto nearest = static_cast<float>(value);
  const auto bits = __builtin_bit_cast(std::uint32_t, nearest);
  if (!(double(nearest) < value || double(nearest) > value) || (bits & 1u) != 0) return nearest;
  const bool beyond = value < 0 ? double(nearest) < value : double(nearest) > value;
  return __builtin_bit_cast(float, beyond ? bits - 1 : bits + 1);
}

}  // namespace detail

/// Storage of one number. Conversion from a number is explicit, to nearest, ties to even, beyond the range to infinity;
/// a NaN becomes a quiet one with the first bits of its payload. Conversion to float is exact and implicit, so an
/// expression of 16-bit operands is one of floats.
template <class Format>
struct Float16 {
  std::uint16_t bits;

  Float16() = default;
  template <class Number>
  requires std::is_arithmetic_v<Number> KOKKOS_INLINE_FUNCTION explicit constexpr Float16(Number value) : bits(0) {
    if constexpr (std::is_same_v<Number, float>)
      bits = Format::from_float(value);
    else
      bits = Format::from_float(detail::to_odd(static_cast<double>(value)));
  }
  template <class Other>
  requires(!std::is_same_v<Other, Format>) KOKKOS_INLINE_FUNCTION explicit constexpr Float16(Float16<Other> value)
      : bits(Format::from_float(Other::to_float(value.bits))) {}

  KOKKOS_INLINE_FUNCTION constexpr operator float() const { return Format::to_float(bits); }
  KOKKOS_INLINE_FUNCTION static constexpr Float16 from_bits(std::uint16_t bits) {
    Float16 number(0.0f);
    number.bits = bits;
    return number;
  }
};

using bfloat16 = Float16<detail::BrainFormat>;
using float16 = Float16<detail::HalfFormat>;

template <class Scalar>
inline constexpr bool is_16_bit =
    std::is_same_v<std::remove_cv_t<Scalar>, bfloat16> || std::is_same_v<std::remove_cv_t<Scalar>, float16>;

/// What numbers stored as Scalar are computed, summed and kept as statistics in: double for double, else float.
template <class Scalar>
using accumulate_t = std::conditional_t<std::is_same_v<std::remove_cv_t<Scalar>, double>, double, float>;

}  // namespace partita

/// On the host alone.
template <class Format>
class std::numeric_limits<partita::Float16<Format>> {
  using Number = partita::Float16<Format>;
  static constexpr int fraction = Format::fraction_bits;
  static constexpr int infinite = (1 << (fraction + Format::exponent_bits)) - (1 << fraction);
  static constexpr Number of(int bits) { return Number::from_bits(static_cast<std::uint16_t>(bits)); }

 public:
  static constexpr bool is_specialized = true, is_signed = true, is_integer = false, is_exact = false;
  static constexpr bool has_infinity = true, has_quiet_NaN = true;
  static constexpr int digits = fraction + 1, radix = 2;
  static constexpr Number min() { return of(1 << fraction); }
  static constexpr Number max() { return of(infinite - 1); }
  static constexpr Number lowest() { return of((infinite - 1) | 0x8000); }
  static constexpr Number denorm_min() { return of(1); }
  static constexpr Number infinity() { return of(infinite); }
  static constexpr Number quiet_NaN() { return of(infinite | 1 << (fraction - 1)); }
  static constexpr Number epsilon() { return Number(1.0f / static_cast<float>(1 << fraction)); }
};
