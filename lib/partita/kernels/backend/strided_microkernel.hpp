// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/simd_fma.hpp>

// The register tile of the host convolutions: operands are read where they lie, without packing.

namespace partita::kernels::backend::host {

/// Where the operands of a tile lie. The summation index is (segment, k): both walk a and b by steps of their own.
struct Walk {
  index_t segments, depth;
  index_t a_row, a_step, a_jump;  // from row to row of the tile, from k to k, from segment to segment
  index_t b_step, b_jump;
};

/// Most rows of a tile whose sums, `vectors` a row, stay in registers.
template <int vectors>
inline constexpr int most_rows = vector_bytes == 64 ? (vectors == 1   ? 14
                                                       : vectors == 2 ? 14
                                                                      : 8)
                                                    : (vectors == 1   ? 8
                                                       : vectors == 2 ? 6
                                                                      : 4);

/// sum(i, lane) <- fma chain over ascending (segment, k) of a(i, segment, k) b(segment, k, lane), from sum(i, lane).
/// With `unit` rows of a lie one element apart, whatever walk.a_row says.
template <int rows, int vectors, bool unit, class Scalar>
void accumulate_tile(const Walk& walk, const Scalar* a, const Scalar* b, Scalar* tile, index_t pitch) {
  using Simd = typename RegisterTile<Scalar>::Simd;
  constexpr int lanes = RegisterTile<Scalar>::lanes;
  Simd sum[rows][vectors];
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors; ++v) std::memcpy(&sum[i][v], tile + i * pitch + v * lanes, sizeof(Simd));
  const index_t row = unit ? 1 : walk.a_row, row3 = 3 * row;
  for (index_t segment = 0; segment < walk.segments; ++segment) {
    // Every fifth row has a pointer: the others lie 0, 1, 2, 3 or 4 rows from one, which an address can say.
    const Scalar* at[3] = {a + segment * walk.a_jump, a + segment * walk.a_jump + 5 * row,
                           a + segment * walk.a_jump + 10 * row};
    const Scalar* right = b + segment * walk.b_jump;
    for (index_t k = 0; k < walk.depth; ++k) {
      Simd vector[vectors];
      for (int v = 0; v < vectors; ++v) std::memcpy(&vector[v], right + v * lanes, sizeof(Simd));
      const auto multiply_row = [&](int i) __attribute__((always_inline)) {
        const Scalar* const base = at[i / 5];
        const int r = i % 5;
        const Scalar value = r == 3 ? base[row3] : base[r * row];
        const Simd element = value - Simd{};  // in every lane; x - 0 is x, -0 too
        for (int v = 0; v < vectors; ++v) sum[i][v] = fused_lanes<Scalar>(element, vector[v], sum[i][v]);
      };
      unrolled(multiply_row, std::make_integer_sequence<int, rows>());
      for (int p = 0; p < (rows + 4) / 5; ++p) at[p] += walk.a_step;
      right += walk.b_step;
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors; ++v) std::memcpy(tile + i * pitch + v * lanes, &sum[i][v], sizeof(Simd));
}

template <class Scalar>
using TileFunction = void (*)(const Walk&, const Scalar*, const Scalar*, Scalar*, index_t);

/// accumulate_tile for `rows` known at run time.
template <int vectors, bool unit, class Scalar, int... i>
TileFunction<Scalar> tile_function(int rows, std::integer_sequence<int, i...>) {
  static constexpr TileFunction<Scalar> table[] = {accumulate_tile<i + 1, vectors, unit, Scalar>...};
  return table[rows - 1];
}
template <int vectors, bool unit, class Scalar>
TileFunction<Scalar> tile_function(int rows) {
  return tile_function<vectors, unit, Scalar>(rows, std::make_integer_sequence<int, most_rows<vectors>>());
}

}  // namespace partita::kernels::backend::host
