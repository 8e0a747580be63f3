// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/float16.hpp>
#include <partita/core/index.hpp>

#if defined(__F16C__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

namespace partita::kernels::backend::host {

/// b(i) = float16(a(i)), 0 <= i < n: the processor's own conversion, eight at a time, where it has one. The bits are
/// those of float16.
inline void to_half(const float* a, float16* b, index_t n) {
  index_t i = 0;
#if defined(__F16C__) && !defined(__CUDACC__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(b + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; ++i) b[i] = float16(a[i]);
}

}  // namespace partita::kernels::backend::host
