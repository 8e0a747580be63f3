// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstring>
#include <utility>

#include <partita/core/index.hpp>

// The register tile of the host GEMM, in the vector types of GCC and Clang.

namespace partita::kernels::backend::host {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64, register_rows = 12;  // 24 of 32 registers hold sums
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32, register_rows = 6;  // 12 of 16
#elif defined(__aarch64__)
inline constexpr int vector_bytes = 16, register_rows = 12;
#else
inline constexpr int vector_bytes = 16, register_rows = 6;
#endif

template <class Scalar>
struct RegisterTile {
  static constexpr int lanes = vector_bytes / int(sizeof(Scalar));
  static constexpr index_t rows = register_rows;
  static constexpr index_t columns = 2 * lanes;
  typedef Scalar Simd __attribute__((vector_size(vector_bytes)));
};

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

/// body(0), body(1), ...: what is indexed by these constants can live in registers.
template <class Body, int... i>
inline __attribute__((always_inline)) void unrolled(const Body& body, std::integer_sequence<int, i...>) {
  (body(i), ...);
}

/// tile(i, j) <- fma chain over k of a[k][i] b[k][j], from tile(i, j). Fused in every lane: the project compiles
/// without contraction, so that the choice is ours. The loop over lanes is one instruction where there is one.
template <class Scalar>
void multiply_accumulate(index_t depth, const Scalar* a, const Scalar* b, Scalar* tile) {
  using Tile = RegisterTile<Scalar>;
  using Simd = typename Tile::Simd;
  constexpr int rows = int(Tile::rows), lanes = Tile::lanes;
  const auto multiply_add = [](Simd x, Simd y, Simd sum) __attribute__((always_inline)) {
    Simd result;
    for (int lane = 0; lane < lanes; ++lane) result[lane] = fused(x[lane], y[lane], sum[lane]);
    return result;
  };
  Simd sum[rows][2];
  std::memcpy(sum, tile, sizeof sum);
  for (index_t k = 0; k < depth; ++k) {
    Simd left, right;
    std::memcpy(&left, b, sizeof left);
    std::memcpy(&right, b + lanes, sizeof right);
    const auto multiply_row = [&](int i) __attribute__((always_inline)) {
      const Simd element = a[i] - Simd{};  // in every lane; x - 0 is x, -0 too
      sum[i][0] = multiply_add(element, left, sum[i][0]);
      sum[i][1] = multiply_add(element, right, sum[i][1]);
    };
    unrolled(multiply_row, std::make_integer_sequence<int, rows>());
    a += rows;
    b += 2 * lanes;
  }
  std::memcpy(tile, sum, sizeof sum);
}

}  // namespace partita::kernels::backend::host
