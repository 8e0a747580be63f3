// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>

#include <partita/kernels/backend/conv.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/backend/strided_microkernel.hpp>
#include <partita/kernels/context.hpp>

// Convolution on hosts. A task copies a band of an image's rows, with its zero border, to where it stays in the L2
// cache; below a row of taps the channels of neighbouring pixels are contiguous there, so that a register tile of
// output pixels x channels reads the band in place.

namespace partita::kernels::backend::host {

inline constexpr index_t band_elements = 16384;  // about what a task keeps of an image

constexpr index_t quotient_up(index_t n, index_t by) { return (n + by - 1) / by; }
constexpr index_t multiple_up(index_t n, index_t of) { return quotient_up(n, of) * of; }

/// band(r, c, :) = image(row + r, column + c, :), zeros beyond the image.
template <class Scalar, class Sum>
void copy_band(const Images<const Scalar>& images, const Scalar* image, index_t row, index_t column, index_t band_rows,
               index_t band_columns, Sum* band) {
  const index_t channels = images.channels;
  const index_t first = std::clamp<index_t>(-column, 0, band_columns);
  const index_t last = std::clamp<index_t>(images.columns - column, first, band_columns);
  for (index_t r = 0; r < band_rows; ++r) {
    Sum* const to = band + r * band_columns * channels;
    if (row + r < 0 || row + r >= images.rows) {
      std::fill_n(to, band_columns * channels, Sum(0));
      continue;
    }
    const Scalar* const from = image + ((row + r) * images.columns + column + first) * channels;
    std::fill_n(to, first * channels, Sum(0));
    std::copy_n(from, (last - first) * channels, to + first * channels);
    std::fill_n(to + last * channels, (band_columns - last) * channels, Sum(0));
  }
}

/// How images are cut into bands of output rows, and bands into tasks. Results do not depend on it.
struct Bands {
  index_t rows, per_image, tasks;

  Bands(index_t B, index_t out_rows, index_t step, index_t tap_rows, index_t row_elements, index_t threads) {
    const index_t room = std::max<index_t>(0, band_elements / std::max<index_t>(1, row_elements) - tap_rows);
    const index_t most = std::min(out_rows, room / step + 1);
    per_image = quotient_up(out_rows, most);
    rows = quotient_up(out_rows, per_image);
    tasks = std::min(B * per_image, 4 * threads);
  }
};

/// w(a, e, c, n) in panels of one or two vectors of n, each panel with its taps and channels in ascending order.
template <class Scalar, class Sum>
void pack_taps(const Exec& exec, const std::string& label, const Correlation& g, index_t channels, index_t made,
               Taps<Scalar> taps, Sum* packed) {
  constexpr index_t lanes = RegisterTile<Sum>::lanes;
  const index_t depth = g.tap_rows * g.tap_columns * channels;
  const index_t per_panel = g.tap_rows * g.tap_columns;
  const index_t panels = quotient_up(made, 2 * lanes), columns = g.tap_columns;
  Kokkos::parallel_for(label, range_policy(exec, panels * per_panel), [=](index_t task) {
    const index_t n0 = task / per_panel * 2 * lanes, tap = task % per_panel;
    const index_t width = made - n0 > lanes ? 2 * lanes : lanes, inside = std::min(width, made - n0);
    Sum* to = packed + n0 * depth + tap * channels * width;
    for (index_t c = 0; c < channels; ++c, to += width) {
      for (index_t n = 0; n < inside; ++n) to[n] = Sum(taps(tap / columns, tap % columns, c, n0 + n));
      for (index_t n = inside; n < width; ++n) to[n] = Sum(0);
    }
  });
}

/// One row of outputs of a band, channels n0 <= n < n0 + made of a panel `vectors` wide. `at` is below the first tap.
template <int vectors, class Scalar, class Sum>
void correlate_row(const Correlation& g, const Walk& walk, const Sum* at, const Sum* panel, const Scalar* bias,
                   index_t made, Scalar* out) {
  constexpr index_t width = vectors * RegisterTile<Sum>::lanes;
  const index_t tiles = quotient_up(g.out_columns, most_rows<vectors>);
  for (index_t tile = 0, t = 0; tile < tiles; ++tile) {
    const index_t end = (tile + 1) * g.out_columns / tiles, pixels = end - t;
    alignas(64) Sum sum[most_rows<vectors> * width] = {};
    if (walk.segments > 0 && walk.depth > 0)
      tile_function<vectors, false, Sum>(int(pixels))(walk, at + t * walk.a_row, panel, sum, width);
    for (index_t i = 0; i < pixels; ++i, ++t) {
      Scalar* const to = out + t * g.out_column_step;
      const Sum* const from = sum + i * width;
      if (bias == nullptr)
        for (index_t n = 0; n < made; ++n) to[n] = Scalar(from[n]);
      else
        for (index_t n = 0; n < made; ++n) to[n] = Scalar(from[n] + Sum(bias[n]));
    }
  }
}

template <class Scalar>
void correlate(Context& context, const ConvLabels& labels, index_t B, const Correlation& g, Images<const Scalar> in,
               Taps<Scalar> taps, const Scalar* bias, Images<Scalar> out) {
  using Sum = accumulate_t<Scalar>;
  constexpr index_t lanes = RegisterTile<Sum>::lanes;
  if (B == 0 || g.out_rows == 0 || g.out_columns == 0 || out.channels == 0) return;
  const Exec& exec = context.exec();
  const index_t channels = in.channels, made = out.channels;
  const index_t band_columns = (g.out_columns - 1) * g.step + g.tap_columns;
  const index_t depth = g.tap_rows * g.tap_columns * channels;
  const Bands bands(B, g.out_rows, g.step, g.tap_rows, band_columns * channels, threads_of(exec));
  const index_t packed_size = multiple_up(made, lanes) * depth;
  const index_t band_size =
      multiple_up(((bands.rows - 1) * g.step + g.tap_rows) * band_columns * channels, 64 / index_t(sizeof(Sum)));
  Sum* const packed = static_cast<Sum*>(context.scratch((packed_size + bands.tasks * band_size) * sizeof(Sum)));
  pack_taps(exec, labels.pack, g, channels, made, taps, packed);

  // A kernel that never leaves the image reads it where it is.
  const bool inside = std::is_same_v<Scalar, Sum> && g.row >= 0 && g.column >= 0 &&
                      g.row + (g.out_rows - 1) * g.step + g.tap_rows <= in.rows &&
                      g.column + band_columns <= in.columns;
  const index_t row_pitch = (inside ? in.columns : band_columns) * channels;
  const auto walk_of = [=](index_t width) {
    return Walk{.segments = g.tap_rows,
                .depth = g.tap_columns * channels,
                .a_row = g.step * channels,
                .a_step = 1,
                .a_jump = row_pitch,
                .b_step = width,
                .b_jump = g.tap_columns * channels * width};
  };
  const Walk narrow = walk_of(lanes), wide = walk_of(2 * lanes);
  using Dynamic = Kokkos::Schedule<Kokkos::Dynamic>;
  Kokkos::parallel_for(labels.multiply, range_policy<Dynamic>(exec, bands.tasks), [=](index_t task) {
    Sum* const own = packed + packed_size + task * band_size;
    const index_t units = B * bands.per_image;
    for (index_t unit = task * units / bands.tasks; unit < (task + 1) * units / bands.tasks; ++unit) {
      const index_t image = unit / bands.per_image, q0 = unit % bands.per_image * bands.rows;
      const index_t rows = std::min(bands.rows, g.out_rows - q0);
      const Sum* band = own;
      if constexpr (std::is_same_v<Scalar, Sum>)
        if (inside) band = in.data + image * in.stride + ((g.row + q0 * g.step) * in.columns + g.column) * channels;
      if (!inside && depth > 0)
        copy_band(in, in.data + image * in.stride, g.row + q0 * g.step, g.column, (rows - 1) * g.step + g.tap_rows,
                  band_columns, own);
      Scalar* const to = out.data + image * out.stride + g.out_offset + q0 * g.out_row_step;
      for (index_t n0 = 0; n0 < made; n0 += 2 * lanes) {
        const Sum* const panel = packed + n0 * depth;
        const Scalar* const b = bias == nullptr ? nullptr : bias + n0;
        for (index_t q = 0; q < rows; ++q) {
          const Sum* const at = band + q * g.step * row_pitch;
          Scalar* const row = to + q * g.out_row_step + n0;
          if (made - n0 > lanes)
            correlate_row<2>(g, wide, at, panel, b, std::min(2 * lanes, made - n0), row);
          else
            correlate_row<1>(g, narrow, at, panel, b, made - n0, row);
        }
      }
    }
  });
}

}  // namespace partita::kernels::backend::host
