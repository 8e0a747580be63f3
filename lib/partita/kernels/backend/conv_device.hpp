// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/conv.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

// Convolution on devices as implicit matrix products: a team computes a tile of the result from slabs of both operands
// in its scratch memory, gathered from the images as they are loaded. The chains are those of the host.

namespace partita::kernels::backend::device {

inline constexpr int conv_tile = 32, conv_slab = 16, conv_grid = 16;
inline constexpr int conv_pitch = conv_tile + 1;  // no bank conflicts

/// out(row, column) of `batch` = chain over k of product.a(batch, row, k) product.b(batch, k, column). Any number of
/// threads gives the same bits, so hosts test it with one.
template <class Product, int grid_>
struct MultiplyGathered {
  using Sum = typename Product::Sum;
  using Policy = Kokkos::TeamPolicy<Exec>;
  using Team = typename Policy::member_type;
  static constexpr int each = conv_tile / grid_;
  static constexpr std::size_t scratch_bytes() { return 2 * sizeof(Sum) * conv_slab * conv_pitch; }

  Product product;
  index_t row_tiles, column_tiles;

  KOKKOS_FUNCTION void operator()(const Team& team) const {
    const index_t batch = team.league_rank() / (row_tiles * column_tiles);
    const index_t within = team.league_rank() % (row_tiles * column_tiles);
    const index_t i0 = within / column_tiles * conv_tile, j0 = within % column_tiles * conv_tile;
    const int grid_row = team.team_rank() / grid_, grid_column = team.team_rank() % grid_;
    Sum* const a = static_cast<Sum*>(team.team_shmem().get_shmem(sizeof(Sum) * conv_slab * conv_pitch));
    Sum* const b = static_cast<Sum*>(team.team_shmem().get_shmem(sizeof(Sum) * conv_slab * conv_pitch));
    const index_t K = product.depth(batch);
    Sum sum[each][each] = {};
    for (index_t k0 = 0; k0 < K; k0 += conv_slab) {
      const int depth = int(K - k0 < conv_slab ? K - k0 : conv_slab);
      for (int e = team.team_rank(); e < conv_tile * depth; e += team.team_size()) {
        const int wa = Product::a_along_k ? e / depth : e % conv_tile,
                  ka = Product::a_along_k ? e % depth : e / conv_tile;
        a[ka * conv_pitch + wa] = i0 + wa < product.rows ? product.a(batch, i0 + wa, k0 + ka) : Sum(0);
        const int wb = Product::b_along_k ? e / depth : e % conv_tile,
                  kb = Product::b_along_k ? e % depth : e / conv_tile;
        b[kb * conv_pitch + wb] = j0 + wb < product.columns ? product.b(batch, k0 + kb, j0 + wb) : Sum(0);
      }
      team.team_barrier();
      for (int k = 0; k < depth; ++k)
        for (int i = 0; i < each; ++i)
          for (int j = 0; j < each; ++j)
            sum[i][j] = Kokkos::fma(a[k * conv_pitch + grid_row + i * grid_],
                                    b[k * conv_pitch + grid_column + j * grid_], sum[i][j]);
      team.team_barrier();
    }
    for (int i = 0; i < each; ++i)
      for (int j = 0; j < each; ++j) {
        const index_t row = i0 + grid_row + i * grid_, column = j0 + grid_column + j * grid_;
        if (row < product.rows && column < product.columns) product.store(batch, row, column, sum[i][j]);
      }
  }
};

/// grid_ x grid_ threads must be a team size that Exec can run.
template <int grid_, class Product>
void multiply_gathered(const Exec& exec, const std::string& label, index_t batches, const Product& product) {
  using Kernel = MultiplyGathered<Product, grid_>;
  const Kernel kernel{product, (product.rows + conv_tile - 1) / conv_tile,
                      (product.columns + conv_tile - 1) / conv_tile};
  const index_t teams = batches * kernel.row_tiles * kernel.column_tiles;
  if (teams == 0) return;
  typename Kernel::Policy policy(exec, int(teams), grid_ * grid_);
  Kokkos::parallel_for(label, policy.set_scratch_size(0, Kokkos::PerTeam(int(Kernel::scratch_bytes()) + 64)), kernel);
}

/// A correlation: rows are the pixels of all outputs, columns their channels.
template <class Scalar>
struct Correlate {
  using Sum = accumulate_t<Scalar>;
  static constexpr bool a_along_k = true, b_along_k = false;

  Correlation g;
  Images<const Scalar> in;
  Taps<Scalar> taps;
  const Scalar* bias;
  Images<Scalar> out;
  index_t rows, columns;

  KOKKOS_FUNCTION index_t depth(index_t) const { return g.tap_rows * g.tap_columns * in.channels; }
  KOKKOS_FUNCTION Sum a(index_t, index_t pixel, index_t k) const {
    const index_t tap = k / in.channels, c = k % in.channels, per_image = g.out_rows * g.out_columns;
    const index_t image = pixel / per_image, q = pixel % per_image / g.out_columns, t = pixel % g.out_columns;
    const index_t row = g.row + q * g.step + tap / g.tap_columns, column = g.column + t * g.step + tap % g.tap_columns;
    const bool inside = row >= 0 && row < in.rows && column >= 0 && column < in.columns;
    return inside ? Sum(in.data[image * in.stride + (row * in.columns + column) * in.channels + c]) : Sum(0);
  }
  KOKKOS_FUNCTION Sum b(index_t, index_t k, index_t n) const {
    const index_t tap = k / in.channels;
    return Sum(taps(tap / g.tap_columns, tap % g.tap_columns, k % in.channels, n));
  }
  KOKKOS_FUNCTION void store(index_t, index_t pixel, index_t n, Sum sum) const {
    const index_t per_image = g.out_rows * g.out_columns;
    const index_t image = pixel / per_image, q = pixel % per_image / g.out_columns, t = pixel % g.out_columns;
    out.data[image * out.stride + g.out_offset + q * g.out_row_step + t * g.out_column_step + n] =
        Scalar(bias == nullptr ? sum : sum + Sum(bias[n]));
  }
};

template <class Scalar, int grid_ = conv_grid>
void correlate(Context& context, const ConvLabels& labels, index_t B, const Correlation& g, Images<const Scalar> in,
               Taps<Scalar> taps, const Scalar* bias, Images<Scalar> out) {
  multiply_gathered<grid_>(context.exec(), labels.multiply, 1,
                           Correlate<Scalar>{g, in, taps, bias, out, B * g.out_rows * g.out_columns, out.channels});
}

/// Weight gradients of the chunks over some rows of the outputs: rows are filters, columns their elements.
template <class Scalar>
struct CorrelateWeights {
  using Sum = accumulate_t<Scalar>;
  static constexpr bool a_along_k = false, b_along_k = false;

  Conv2dShape s;
  Images<const Scalar> x, dy;
  index_t B, chunks, out_columns, first_pixel, per_image;  // of the outputs
  Sum* partial;
  index_t rows, columns;

  KOKKOS_FUNCTION index_t depth(index_t chunk) const {
    return ((chunk + 1) * B / chunks - chunk * B / chunks) * per_image;
  }
  KOKKOS_FUNCTION Sum a(index_t chunk, index_t f, index_t k) const {
    const index_t image = chunk * B / chunks + k / per_image;
    return Sum(dy.data[image * dy.stride + (first_pixel + k % per_image) * s.filters + f]);
  }
  KOKKOS_FUNCTION Sum b(index_t chunk, index_t k, index_t element) const {
    const index_t tap = element / s.channels, image = chunk * B / chunks + k / per_image;
    const index_t pixel = first_pixel + k % per_image;
    const index_t row = pixel / out_columns * s.stride - s.above + tap / s.kernel_columns;
    const index_t column = pixel % out_columns * s.stride - s.padding + tap % s.kernel_columns;
    const bool inside = row >= 0 && row < s.rows && column >= 0 && column < s.columns;
    return inside ? Sum(x.data[image * x.stride + (row * s.columns + column) * s.channels + element % s.channels])
                  : Sum(0);
  }
  KOKKOS_FUNCTION void store(index_t chunk, index_t f, index_t element, Sum sum) const {
    partial[(chunk * rows + f) * columns + element] = sum;
  }
};

template <class Sum>
struct AddChunks {
  const Sum* partial;
  index_t chunks, rows, columns;
  bool adds;
  Sum* dW;
  index_t dW_stride;

  KOKKOS_FUNCTION void operator()(index_t at) const {
    const index_t f = at / columns, element = at % columns;
    Sum sum = 0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * rows * columns + at];
    Sum& to = dW[f * dW_stride + element];
    to = adds ? to + sum : sum;
  }
};

template <class Scalar>
index_t weights_scratch(const Exec&, index_t B, const Conv2dShape& s, OutputRows) {
  return weight_chunks(B) * s.filters * s.kernel();
}

/// dW over some rows of the outputs; scratch of weights_scratch numbers.
template <class Scalar, int grid_ = conv_grid>
void correlate_weights(const Exec& exec, const ConvLabels& labels, index_t B, const Conv2dShape& s, OutputRows out,
                       Store store, Images<const Scalar> x, Images<const Scalar> dy, accumulate_t<Scalar>* scratch,
                       accumulate_t<Scalar>* dW, index_t dW_stride) {
  const index_t per_image = out.count * s.out_columns(), chunks = per_image == 0 ? 0 : weight_chunks(B);
  const index_t columns = s.kernel();
  multiply_gathered<grid_>(exec, labels.multiply, chunks,
                           CorrelateWeights<Scalar>{s, x, dy, B, chunks, s.out_columns(), out.first * s.out_columns(),
                                                    per_image, scratch, s.filters, columns});
  Kokkos::parallel_for(
      labels.sum, range_policy(exec, s.filters * columns),
      AddChunks<accumulate_t<Scalar>>{scratch, chunks, s.filters, columns, store == Store::accumulate, dW, dW_stride});
}

}  // namespace partita::kernels::backend::device
