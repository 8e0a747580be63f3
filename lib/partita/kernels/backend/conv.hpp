// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/conv2d_shape.hpp>

// What the portable convolutions of hosts and devices share.

namespace partita::kernels::backend {

/// Channels-last images, `stride` elements apart.
template <class Scalar>
struct Images {
  Scalar* data;
  index_t stride;
  index_t rows, columns, channels;
};

/// Weights seen as w(a, e, c, n): tap row and column, channel summed over, channel made.
template <class Scalar>
struct Taps {
  const Scalar* data;
  index_t row_step, column_step, channel_step, made_step;

  KOKKOS_INLINE_FUNCTION const Scalar& operator()(index_t a, index_t e, index_t c, index_t n) const {
    return data[a * row_step + e * column_step + c * channel_step + n * made_step];
  }
};

/// One dense correlation, which both forward and backward-input are made of:
///
///     out(q, t, n) = sum_{a, e, c} in(row + q step + a, column + t step + e, c) w(a, e, c, n)
struct Correlation {
  index_t tap_rows, tap_columns;
  index_t row, column;                                // of the input, for q = t = a = e = 0; may be negative
  index_t step;                                       // of the input from output to output
  index_t out_rows, out_columns;                      // q < out_rows, t < out_columns
  index_t out_offset, out_row_step, out_column_step;  // where out(q, t, 0) lies in its image
};

template <class Scalar>
Taps<Scalar> forward_taps(const Conv2dShape& s, const Scalar* W, index_t W_stride) {
  return {W, s.kernel_columns * s.channels, s.channels, 1, W_stride};
}

inline Correlation forward_correlation(const Conv2dShape& s) {
  return {s.kernel_rows,
          s.kernel_columns,
          -s.above,
          -s.padding,
          s.stride,
          s.out_rows(),
          s.out_columns(),
          0,
          s.out_columns() * s.filters,
          s.filters};
}

/// Pixels of dx in row and column `phase` modulo the stride are seen by the taps of one phase only: a correlation of
/// dy with step 1 and the taps in reverse. No taps: zeros.
struct Phase {
  index_t number;           // phase
  index_t first_tap, taps;  // along one direction: first_tap, first_tap + stride, ...
  index_t origin;           // row of dy below the last tap of the first pixel
  index_t pixels;

  /// Of `image` rows or columns with `before` of zeros in front, or left out.
  Phase(index_t phase, index_t stride, index_t before, index_t image, index_t kernel_extent) : number(phase) {
    const index_t rest = (phase + before) % stride;
    first_tap = rest < 0 ? rest + stride : rest;
    taps = first_tap < kernel_extent ? (kernel_extent - first_tap + stride - 1) / stride : 0;
    origin = (phase + before - first_tap) / stride - (taps - 1);
    pixels = phase < image ? (image - phase + stride - 1) / stride : 0;
  }
};

inline Phase phase_of_rows(const Conv2dShape& s, index_t phase) {
  return {phase, s.stride, s.above, s.rows, s.kernel_rows};
}
inline Phase phase_of_columns(const Conv2dShape& s, index_t phase) {
  return {phase, s.stride, s.padding, s.columns, s.kernel_columns};
}

template <class Scalar>
Taps<Scalar> backward_taps(const Conv2dShape& s, const Phase& row, const Phase& column, const Scalar* W,
                           index_t W_stride) {
  const index_t last_row = row.first_tap + s.stride * (row.taps - 1);
  const index_t last_column = column.first_tap + s.stride * (column.taps - 1);
  const bool any = row.taps > 0 && column.taps > 0;
  return {any ? W + (last_row * s.kernel_columns + last_column) * s.channels : W,
          -s.stride * s.kernel_columns * s.channels, -s.stride * s.channels, W_stride, 1};
}

inline Correlation backward_correlation(const Conv2dShape& s, const Phase& row, const Phase& column) {
  return {row.taps,
          column.taps,
          row.origin,
          column.origin,
          1,
          row.pixels,
          column.pixels,
          (row.number * s.columns + column.number) * s.channels,
          s.stride * s.columns * s.channels,
          s.stride * s.channels};
}

/// The chunks of a weight gradient's sum.
inline index_t weight_chunks(index_t B) { return B < conv2d_chunks ? B : conv2d_chunks; }

/// Rows of the outputs that a weight gradient sums over.
struct OutputRows {
  index_t first, count;
};

/// The labels of one caller's kernels.
struct ConvLabels {
  std::string pack, multiply, sum;

  explicit ConvLabels(const std::string& caller)
      : pack(caller + "::pack"), multiply(caller + "::multiply"), sum(caller + "::sum") {}
};

}  // namespace partita::kernels::backend
