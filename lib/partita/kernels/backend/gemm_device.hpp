// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/gemm.hpp>

// Tiled GEMM for devices: a team computes a tile of C from slabs of A and B in its scratch memory; each thread keeps
// its elements' chains in registers. Any grid of threads gives the same bits, so hosts test it with one thread.

namespace partita::kernels::backend::device {

/// Tile of C, depth of a slab, and the grid of threads that shares the tile.
template <int tile_rows_, int tile_columns_, int slab_, int grid_rows_, int grid_columns_>
struct Shape {
  static constexpr int tile_rows = tile_rows_, tile_columns = tile_columns_, slab = slab_;
  static constexpr int grid_rows = grid_rows_, grid_columns = grid_columns_;
  static constexpr int rows = tile_rows / grid_rows, columns = tile_columns / grid_columns;  // of one thread
  static constexpr int threads = grid_rows * grid_columns;
  static_assert(tile_rows % grid_rows == 0 && tile_columns % grid_columns == 0);
};

template <class Scalar, class Out, class Shape>
struct Multiply {
  using Policy = Kokkos::TeamPolicy<Exec>;
  using Team = typename Policy::member_type;
  using Sum = accumulate_t<Scalar>;
  static constexpr int a_pitch = Shape::tile_rows + 1, b_pitch = Shape::tile_columns + 1;  // + 1: no bank conflicts

  index_t M, N, K;
  Operand<Scalar> A, B;
  Epilogue<Scalar> epilogue;
  Out* C;
  index_t leading;

  static constexpr std::size_t scratch_bytes() { return sizeof(Sum) * Shape::slab * (a_pitch + b_pitch); }
  index_t column_tiles() const { return (N + Shape::tile_columns - 1) / Shape::tile_columns; }
  index_t tiles() const { return (M + Shape::tile_rows - 1) / Shape::tile_rows * column_tiles(); }

  /// slab[k][w] = matrix(w0 + w, k0 + k), neighbouring threads reading neighbouring addresses.
  KOKKOS_FUNCTION static void load(const Team& team, const Scalar* matrix, index_t across, index_t along,
                                   index_t inside, int width, int pitch, int depth, Sum* slab) {
    for (int e = team.team_rank(); e < width * depth; e += team.team_size()) {
      const int w = across == 1 ? e % width : e / depth;
      const int k = across == 1 ? e / width : e % depth;
      slab[k * pitch + w] = w < inside ? Sum(matrix[w * across + k * along]) : Sum(0);
    }
  }

  KOKKOS_FUNCTION void operator()(const Team& team) const {
    const index_t per_row = (N + Shape::tile_columns - 1) / Shape::tile_columns;
    const index_t i0 = team.league_rank() / per_row * Shape::tile_rows;
    const index_t j0 = team.league_rank() % per_row * Shape::tile_columns;
    const int grid_row = team.team_rank() / Shape::grid_columns, grid_column = team.team_rank() % Shape::grid_columns;
    Sum* const a = static_cast<Sum*>(team.team_shmem().get_shmem(sizeof(Sum) * Shape::slab * a_pitch));
    Sum* const b = static_cast<Sum*>(team.team_shmem().get_shmem(sizeof(Sum) * Shape::slab * b_pitch));

    Sum sum[Shape::rows][Shape::columns] = {};
    if (epilogue.continues)
      for (int i = 0; i < Shape::rows; ++i)
        for (int j = 0; j < Shape::columns; ++j) {
          const index_t row = i0 + grid_row + i * Shape::grid_rows, column = j0 + grid_column + j * Shape::grid_columns;
          if (row < M && column < N) sum[i][j] = Sum(C[row * leading + column]);
        }
    for (index_t k0 = 0; k0 < K; k0 += Shape::slab) {
      const int depth = int(K - k0 < Shape::slab ? K - k0 : Shape::slab);
      load(team, A.data + i0 * A.row_stride + k0 * A.column_stride, A.row_stride, A.column_stride, M - i0,
           Shape::tile_rows, a_pitch, depth, a);
      load(team, B.data + j0 * B.column_stride + k0 * B.row_stride, B.column_stride, B.row_stride, N - j0,
           Shape::tile_columns, b_pitch, depth, b);
      team.team_barrier();
      for (int k = 0; k < depth; ++k)
        for (int i = 0; i < Shape::rows; ++i)
          for (int j = 0; j < Shape::columns; ++j)
            sum[i][j] = Kokkos::fma(a[k * a_pitch + grid_row + i * Shape::grid_rows],
                                    b[k * b_pitch + grid_column + j * Shape::grid_columns], sum[i][j]);
      team.team_barrier();
    }
    for (int i = 0; i < Shape::rows; ++i)
      for (int j = 0; j < Shape::columns; ++j) {
        const index_t row = i0 + grid_row + i * Shape::grid_rows, column = j0 + grid_column + j * Shape::grid_columns;
        if (row >= M || column >= N) continue;
        Out& c = C[row * leading + column];
        c = Out(epilogue(sum[i][j], column, c));
      }
  }
};

/// Shape::threads must be a team size that Exec can run.
template <class Shape, class Scalar, class Out>
void gemm(const Exec& exec, const std::string& label, index_t M, index_t N, index_t K, Operand<Scalar> A,
          Operand<Scalar> B, Epilogue<Scalar> epilogue, Out* C, index_t leading) {
  using Kernel = Multiply<Scalar, Out, Shape>;
  const Kernel kernel{M, N, K, A, B, epilogue, C, leading};
  typename Kernel::Policy policy(exec, int(kernel.tiles()), Shape::threads);
  Kokkos::parallel_for(label, policy.set_scratch_size(0, Kokkos::PerTeam(int(Kernel::scratch_bytes()) + 64)), kernel);
}

}  // namespace partita::kernels::backend::device
