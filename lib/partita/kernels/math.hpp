// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <Kokkos_Core.hpp>

// exp, tanh and erf without branches, tables or calls: loops over them vectorise, and body and tail of a vectorised
// loop, a host's scalar code and a device's thread round alike. float is within 2 ulp everywhere (exhaustively tested),
// subnormals, infinities and NaN included; double is the standard library's, the same function in every lane.

namespace partita::kernels::math {

/// a b + c, rounded once. The project compiles without contraction: where a product fuses is the code's choice.
KOKKOS_INLINE_FUNCTION float fused(float a, float b, float c) {
  KOKKOS_IF_ON_HOST((return __builtin_fmaf(a, b, c);))
  KOKKOS_IF_ON_DEVICE((return Kokkos::fma(a, b, c);))
}
KOKKOS_INLINE_FUNCTION double fused(double a, double b, double c) {
  KOKKOS_IF_ON_HOST((return __builtin_fma(a, b, c);))
  KOKKOS_IF_ON_DEVICE((return Kokkos::fma(a, b, c);))
}

/// size > bound ? above : below for a size that is not negative; above for NaN. Of bits: see exp.
KOKKOS_INLINE_FUNCTION float choose(float size, float bound, float above, float below) {
  const std::uint32_t beyond = Kokkos::bit_cast<std::uint32_t>(bound) - Kokkos::bit_cast<std::uint32_t>(size);
  const auto mask = std::uint32_t(std::int32_t(beyond) >> 31);  // all bits, or none
  return Kokkos::bit_cast<float>((Kokkos::bit_cast<std::uint32_t>(above) & mask) |
                                 (Kokkos::bit_cast<std::uint32_t>(below) & ~mask));
}

/// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial in r (Cephes, expf), and 2^n in two factors, so that
/// subnormal results round once. x is bounded, and NaN kept, as integers: GCC makes branches of comparisons of floats,
/// and moves sums into them, and then the loop around is no vector loop.
KOKKOS_INLINE_FUNCTION float exp(float x) {
  constexpr float round = 12582912.0f;                // 1.5 * 2^23: its last bits hold n
  constexpr std::uint32_t sign = 0x80000000u;         // turned round, negative numbers are below positive ones
  constexpr std::uint32_t most = 0x42b20000u ^ sign;  // 89, of which e^x is infinity
  constexpr std::uint32_t least = 0xc2d00000u;        // -104, of which it is 0; a positive float is less
  const auto pattern = Kokkos::bit_cast<std::uint32_t>(x), turned = pattern ^ sign;
  const std::uint32_t below = (turned < most ? turned : most) ^ sign;
  const auto bounded = Kokkos::bit_cast<float>(below < least ? below : least);
  const float shifted = fused(bounded, 1.44269504f, round);
  const float n = shifted - round;
  const float r = fused(n, 2.12194440e-4f, fused(n, -0.693359375f, bounded));
  float p = fused(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = fused(p, r, 8.3334519073e-3f);
  p = fused(p, r, 4.1665795894e-2f);
  p = fused(p, r, 1.6666665459e-1f);
  p = fused(p, r, 5.0000001201e-1f);
  p = fused(p, r * r, r) + 1.0f;
  const std::uint32_t biased = Kokkos::bit_cast<std::uint32_t>(shifted) - 0x4b400000u + 254u;  // n + 2 * 127
  const std::uint32_t half = biased >> 1;
  p = p * Kokkos::bit_cast<float>(half << 23) * Kokkos::bit_cast<float>((biased - half) << 23);
  const auto nan = std::uint32_t(std::int32_t(0x7f800000u - (pattern & ~sign)) >> 31);  // all bits, or none
  return Kokkos::bit_cast<float>(Kokkos::bit_cast<std::uint32_t>(p) | nan);
}
KOKKOS_INLINE_FUNCTION double exp(double x) { return Kokkos::exp(x); }

/// x + x^3 P(x^2) below 0.625 (Cephes, tanhf), 1 - 2 / (e^2|x| + 1) with x's sign above.
KOKKOS_INLINE_FUNCTION float tanh(float x) {
  const float size = Kokkos::fabs(x), square = x * x;
  float p = fused(-5.70498872745e-3f, square, 2.06390887954e-2f);
  p = fused(p, square, -5.37397155531e-2f);
  p = fused(p, square, 1.33314422036e-1f);
  p = fused(p, square, -3.33332819422e-1f);
  const float small = fused(p * square, size, size);
  const float large = 1.0f - 2.0f / (exp(2.0f * size) + 1.0f);
  return Kokkos::copysign(choose(size, 0.625f, large, small), x);
}
KOKKOS_INLINE_FUNCTION double tanh(double x) { return Kokkos::tanh(x); }

/// Two polynomials that meet at 475/512: x P(x^2), and 1 - e^Q(|x|) with x's sign.
KOKKOS_INLINE_FUNCTION float erf(float x) {
  const float size = Kokkos::fabs(x), square = x * x;
  float q = fused(-1.72853470e-5f, size, 3.83197126e-4f);
  q = fused(q, square, fused(-3.88396438e-3f, size, 2.42546219e-2f));
  q = fused(q, size, -1.06777877e-1f);
  q = fused(q, size, -6.34846687e-1f);
  q = fused(q, size, -1.28717512e-1f);
  q = fused(q, size, -size);
  const float large = Kokkos::copysign(1.0f - exp(q), x);
  float p = fused(-5.96761703e-4f, square, 4.99119423e-3f);
  p = fused(p, square, -2.67681349e-2f);
  p = fused(p, square, 1.12819925e-1f);
  p = fused(p, square, -3.76125336e-1f);
  p = fused(p, square, 1.28379166e-1f);
  const float small = fused(p, x, x);
  return choose(size, 0.927734375f, large, small);
}
KOKKOS_INLINE_FUNCTION double erf(double x) { return Kokkos::erf(x); }

}  // namespace partita::kernels::math
