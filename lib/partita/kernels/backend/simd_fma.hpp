// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/microkernel.hpp>

#if defined(__AVX512F__) || (defined(__AVX__) && defined(__FMA__))
#include <immintrin.h>
#endif

// A fused multiply-add of whole vectors. GCC makes one instruction of a loop over lanes in some surroundings and
// sixteen in others; here it has no choice.

namespace partita::kernels::backend::host {

template <class Scalar>
using SimdOf = typename RegisterTile<Scalar>::Simd;

template <class Scalar>
inline __attribute__((always_inline)) SimdOf<Scalar> fused_lanes(SimdOf<Scalar> x, SimdOf<Scalar> y,
                                                                 SimdOf<Scalar> sum) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Scalar) == 4)
    return _mm512_fmadd_ps(x, y, sum);
  else
    return _mm512_fmadd_pd(x, y, sum);
#elif defined(__AVX__) && defined(__FMA__)
  if constexpr (sizeof(Scalar) == 4)
    return _mm256_fmadd_ps(x, y, sum);
  else
    return _mm256_fmadd_pd(x, y, sum);
#else
  SimdOf<Scalar> result;
  for (int lane = 0; lane < RegisterTile<Scalar>::lanes; ++lane) result[lane] = fused(x[lane], y[lane], sum[lane]);
  return result;
#endif
}

}  // namespace partita::kernels::backend::host
