// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstring>

#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/microkernel.hpp>
#include <partita/kernels/backend/range.hpp>

// Blocked GEMM for hosts (Goto and van de Geijn 2008): A and B are packed into panels as wide as the register tile,
// zero-padded at the edge; a task multiplies a block of A's panels, which stays in the L2 cache, with B's panels, one
// of which stays in L1.

namespace partita::kernels::backend::host {

inline constexpr index_t depth_block = 256;    // k's per pass: B's panel of 256 x 16 or 32 floats is 16 or 32 KiB
inline constexpr index_t rows_block = 96;      // rows of A per task: 96 KiB of floats
inline constexpr index_t columns_block = 512;  // columns of B per task, at most
inline constexpr index_t packed_rows = 4096;   // of A and of B at a time: bounds the scratch at 8 MiB of floats
inline constexpr index_t packed_columns = 4096;

constexpr index_t round_up(index_t n, index_t to) { return (n + to - 1) / to * to; }
constexpr index_t blocks(index_t n, index_t of) { return (n + of - 1) / of; }

/// panel[k][w] = matrix[w across + k along] for w < inside, 0 for the rest of the panel's width.
template <index_t width, class Scalar>
void pack_panel(const Scalar* matrix, index_t across, index_t along, index_t inside, index_t depth, Scalar* panel) {
  if (inside == width && across == 1) {
    for (index_t k = 0; k < depth; ++k) std::memcpy(panel + k * width, matrix + k * along, width * sizeof(Scalar));
    return;
  }
  for (index_t w = 0; w < inside; ++w)
    for (index_t k = 0; k < depth; ++k) panel[k * width + w] = matrix[w * across + k * along];
  for (index_t w = inside; w < width; ++w)
    for (index_t k = 0; k < depth; ++k) panel[k * width + w] = Scalar(0);
}

/// One register tile of C: continue the chains from C unless `first`, finish them if `last`.
template <class Scalar>
void multiply_tile(index_t depth, const Scalar* a, const Scalar* b, index_t rows, index_t columns, bool first,
                   bool last, const Epilogue<Scalar>& epilogue, index_t column, Scalar* C, index_t leading) {
  constexpr index_t width = RegisterTile<Scalar>::columns;
  alignas(64) Scalar tile[RegisterTile<Scalar>::rows * width] = {};
  if (!first)
    for (index_t i = 0; i < rows; ++i) std::copy_n(C + i * leading, columns, tile + i * width);
  multiply_accumulate(depth, a, b, tile);
  for (index_t i = 0; i < rows; ++i) {
    Scalar* row = tile + i * width;
    if (last && epilogue.bias != nullptr)
      for (index_t j = 0; j < columns; ++j) row[j] += epilogue.bias[column + j];
    if (last && epilogue.activation != Activation::identity)
      for (index_t j = 0; j < columns; ++j) row[j] = activate(epilogue.activation, row[j]);
    std::copy_n(row, columns, C + i * leading);
  }
}

/// How a product is cut. Tasks are about equal and several per thread.
struct Plan {
  index_t rows;     // of A per task, a multiple of the tile
  index_t columns;  // of B per task, a multiple of the tile

  Plan(index_t M, index_t N, index_t tile_rows, index_t tile_columns, index_t threads) {
    rows = round_up(blocks(M, blocks(M, rows_block)), tile_rows);
    const index_t wanted = std::max<index_t>(1, blocks(4 * threads, blocks(M, rows)));
    columns = std::clamp(round_up(blocks(N, wanted), tile_columns), tile_columns, columns_block);
  }
};

template <class Scalar>
void gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
          Operand<Scalar> B, Epilogue<Scalar> epilogue, Scalar* C, index_t leading) {
  constexpr index_t tile_rows = RegisterTile<Scalar>::rows;
  constexpr index_t tile_columns = RegisterTile<Scalar>::columns;
  const index_t most_depth = std::min(K, depth_block);
  const index_t a_size = round_up(round_up(std::min(M, packed_rows), tile_rows) * most_depth, 64);
  const index_t b_size = round_up(std::min(N, packed_columns), tile_columns) * most_depth;
  Scalar* const packed_a = static_cast<Scalar*>(context.scratch((a_size + b_size) * sizeof(Scalar)));
  Scalar* const packed_b = packed_a + a_size;
  using Dynamic = Kokkos::Schedule<Kokkos::Dynamic>;
  const Exec& exec = context.exec();

  for (index_t j0 = 0; j0 < N; j0 += packed_columns) {
    const index_t n = std::min(packed_columns, N - j0);
    for (index_t i0 = 0; i0 < M; i0 += packed_rows) {
      const index_t m = std::min(packed_rows, M - i0);
      const Plan plan(m, n, tile_rows, tile_columns, threads_of(exec));
      for (index_t k0 = 0; k0 == 0 || k0 < K; k0 += depth_block) {
        const index_t depth = std::min(depth_block, K - k0);
        const bool first = k0 == 0, last = k0 + depth >= K;

        const index_t b_panels = blocks(n, tile_columns), a_panels = blocks(m, tile_rows);
        Kokkos::parallel_for(labels.pack, range_policy<Dynamic>(exec, a_panels + b_panels), [=](index_t panel) {
          if (panel < b_panels) {
            const index_t j = panel * tile_columns;
            pack_panel<tile_columns>(B.data + (j0 + j) * B.column_stride + k0 * B.row_stride, B.column_stride,
                                     B.row_stride, std::min(tile_columns, n - j), depth, packed_b + j * depth);
          } else {
            const index_t i = (panel - b_panels) * tile_rows;
            pack_panel<tile_rows>(A.data + (i0 + i) * A.row_stride + k0 * A.column_stride, A.row_stride,
                                  A.column_stride, std::min(tile_rows, m - i), depth, packed_a + i * depth);
          }
        });

        const index_t row_tasks = blocks(m, plan.rows), column_tasks = blocks(n, plan.columns);
        Kokkos::parallel_for(labels.multiply, range_policy<Dynamic>(exec, row_tasks * column_tasks), [=](index_t task) {
          const index_t i_begin = task / column_tasks * plan.rows, i_end = std::min(m, i_begin + plan.rows);
          const index_t j_begin = task % column_tasks * plan.columns, j_end = std::min(n, j_begin + plan.columns);
          for (index_t j = j_begin; j < j_end; j += tile_columns)
            for (index_t i = i_begin; i < i_end; i += tile_rows)
              multiply_tile(depth, packed_a + i * depth, packed_b + j * depth, std::min(tile_rows, m - i),
                            std::min(tile_columns, n - j), first, last, epilogue, j0 + j,
                            C + (i0 + i) * leading + j0 + j, leading);
        });
      }
    }
  }
}

}  // namespace partita::kernels::backend::host
