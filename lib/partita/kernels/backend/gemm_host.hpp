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
template <index_t width, class Scalar, class Sum>
void pack_panel(const Scalar* matrix, index_t across, index_t along, index_t inside, index_t depth, Sum* panel) {
  if (inside == width && across == 1) {
    for (index_t k = 0; k < depth; ++k)
      if constexpr (std::is_same_v<Scalar, Sum>)
        std::memcpy(panel + k * width, matrix + k * along, width * sizeof(Scalar));
      else
        std::copy_n(matrix + k * along, width, panel + k * width);
    return;
  }
  for (index_t w = 0; w < inside; ++w)
    for (index_t k = 0; k < depth; ++k) panel[k * width + w] = Sum(matrix[w * across + k * along]);
  for (index_t w = inside; w < width; ++w)
    for (index_t k = 0; k < depth; ++k) panel[k * width + w] = Sum(0);
}

template <Activation activation, class Sum>
void activate_row(Sum* row, index_t columns) {
  for (index_t j = 0; j < columns; ++j) row[j] = activate(activation, row[j]);
}

/// One switch for a row: the loops within are vectors.
template <class Sum>
void activate_row(Activation activation, Sum* row, index_t columns) {
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::relu:
      return activate_row<Activation::relu>(row, columns);
    case Activation::tanh:
      return activate_row<Activation::tanh>(row, columns);
    case Activation::sigmoid:
      return activate_row<Activation::sigmoid>(row, columns);
    case Activation::gelu:
      return activate_row<Activation::gelu>(row, columns);
    case Activation::gelu_tanh:
      return activate_row<Activation::gelu_tanh>(row, columns);
    case Activation::silu:
      return activate_row<Activation::silu>(row, columns);
  }
}

/// to = the epilogue of complete sums, from `column` on, which it overwrites on the way: pass after pass, so that each
/// is a vector loop.
template <class Scalar, class Out, class Sum>
void finish_row(const Epilogue<Scalar>& epilogue, Sum* row, index_t columns, index_t column, Out* to) {
  if (epilogue.alpha != Sum(1))
    for (index_t j = 0; j < columns; ++j) row[j] *= epilogue.alpha;
  if (epilogue.beta != Sum(0))
    for (index_t j = 0; j < columns; ++j) row[j] = fused(epilogue.beta, Sum(to[j]), row[j]);
  if (epilogue.bias != nullptr)
    for (index_t j = 0; j < columns; ++j) row[j] += Sum(epilogue.bias[column + j]);
  activate_row(epilogue.activation, row, columns);
  for (index_t j = 0; j < columns; ++j) to[j] = Out(row[j]);
}

/// Where C is, and its chains between two blocks over k: in C itself if `chain` is null.
template <class Out>
struct Target {
  using Sum = accumulate_t<Out>;
  Out* C;
  index_t leading;
  Sum* chain;
  index_t pitch;

  Target at(index_t i, index_t j) const {
    return {C + i * leading + j, leading, chain == nullptr ? chain : chain + i * pitch + j, pitch};
  }
  Sum* chain_row(index_t i) const {
    if constexpr (std::is_same_v<Out, Sum>)
      if (chain == nullptr) return C + i * leading;
    return chain + i * pitch;
  }
};

/// One register tile of C: continue the chains unless `first`, finish them if `last`.
template <class Scalar, class Out, class Sum>
void multiply_tile(index_t depth, const Sum* a, const Sum* b, index_t rows, index_t columns, bool first, bool last,
                   const Epilogue<Scalar>& epilogue, index_t column, const Target<Out>& target) {
  constexpr index_t width = RegisterTile<Sum>::columns;
  alignas(64) Sum tile[RegisterTile<Sum>::rows * width] = {};
  if (!first)
    for (index_t i = 0; i < rows; ++i) std::copy_n(target.chain_row(i), columns, tile + i * width);
  multiply_accumulate(depth, a, b, tile);
  for (index_t i = 0; i < rows; ++i) {
    Sum* const row = tile + i * width;
    if (!last) {
      std::copy_n(row, columns, target.chain_row(i));
      continue;
    }
    finish_row(epilogue, row, columns, column, target.C + i * target.leading);
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

/// The scratch of a product: panels of A and of B, and the chains where C cannot keep them.
template <class Scalar, class Out>
struct Workspace {
  using Sum = accumulate_t<Scalar>;
  index_t a_size, b_size, chain_size, pitch;
  bool apart;

  Workspace(index_t M, index_t N, index_t K, Sum beta) {
    const index_t most_depth = std::min(K, depth_block);
    a_size = round_up(round_up(std::min(M, packed_rows), RegisterTile<Sum>::rows) * most_depth, 64);
    b_size = round_up(std::min(N, packed_columns), RegisterTile<Sum>::columns) * most_depth;
    // Between blocks over k C cannot keep the chains if it is rounded to 16 bits, or read in the end.
    apart = K > depth_block && (!std::is_same_v<Out, Sum> || beta != Sum(0));
    pitch = std::min(N, packed_columns);
    chain_size = apart ? std::min(M, packed_rows) * pitch : 0;
  }
  std::size_t bytes() const { return std::size_t(a_size + b_size + chain_size) * sizeof(Sum); }
};

/// Room for all panels of B, kept for other products with it: for each packed_columns of it, block after block over k.
template <class Sum>
struct KeptPanels {
  Sum* data = nullptr;  ///< null: none are kept
  bool stale = true;    ///< to be packed by this product

  static std::size_t bytes(index_t N, index_t K) {
    return std::size_t(round_up(N, RegisterTile<Sum>::columns) * K) * sizeof(Sum);
  }
};

/// `scratch` as Workspace says.
template <class Scalar, class Out>
void gemm(const Exec& exec, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
          Operand<Scalar> B, Epilogue<Scalar> epilogue, Out* C, index_t leading, void* scratch,
          KeptPanels<accumulate_t<Scalar>> kept = {}) {
  using Sum = accumulate_t<Scalar>;
  constexpr index_t tile_rows = RegisterTile<Sum>::rows;
  constexpr index_t tile_columns = RegisterTile<Sum>::columns;
  const Workspace<Scalar, Out> space(M, N, K, epilogue.beta);
  Sum* const packed_a = static_cast<Sum*>(scratch);
  Sum* const scratch_b = packed_a + space.a_size;
  Sum* const chain = space.apart ? scratch_b + space.b_size : nullptr;
  using Dynamic = Kokkos::Schedule<Kokkos::Dynamic>;

  for (index_t j0 = 0; j0 < N; j0 += packed_columns) {
    const index_t n = std::min(packed_columns, N - j0);
    for (index_t i0 = 0; i0 < M; i0 += packed_rows) {
      const index_t m = std::min(packed_rows, M - i0);
      const Target<Out> target{C + i0 * leading + j0, leading, chain, space.pitch};
      const Plan plan(m, n, tile_rows, tile_columns, threads_of(exec));
      for (index_t k0 = 0; k0 == 0 || k0 < K; k0 += depth_block) {
        const index_t depth = std::min(depth_block, K - k0);
        const bool first = k0 == 0 && !epilogue.continues, last = k0 + depth >= K;

        const bool keeps = kept.data != nullptr, packs_b = !keeps || (kept.stale && i0 == 0);
        Sum* const packed_b = keeps ? kept.data + j0 * K + k0 * round_up(n, tile_columns) : scratch_b;
        const index_t b_panels = packs_b ? blocks(n, tile_columns) : 0, a_panels = blocks(m, tile_rows);
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
                            std::min(tile_columns, n - j), first, last, epilogue, j0 + j, target.at(i, j));
        });
      }
    }
  }
}

}  // namespace partita::kernels::backend::host
