// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>

#include <partita/core/index.hpp>

namespace partita::kernels {

/// Extents of a convolution of one channels-last image. Stride is the same in both directions, and so is padding unless
/// `above` and `below` are given: `padding` is then columns of zeros at both sides alone.
struct Conv2dShape {
  index_t rows = 0, columns = 0, channels = 0;
  index_t filters = 0;
  index_t kernel_rows = 1, kernel_columns = 1;
  index_t stride = 1, padding = 0;
  /// Rows of zeros above and below the image. Negative: so many of its rows are left out; nothing reads them, their
  /// gradient is 0.
  index_t above = padding, below = padding;

  constexpr index_t out_rows() const { return extent(rows + above + below, kernel_rows); }
  constexpr index_t out_columns() const { return extent(columns + 2 * padding, kernel_columns); }
  /// Numbers of an image, of the output's image, of a filter.
  constexpr index_t inputs() const { return rows * columns * channels; }
  constexpr index_t outputs() const { return out_rows() * out_columns() * filters; }
  constexpr index_t kernel() const { return kernel_rows * kernel_columns * channels; }

  constexpr auto operator<=>(const Conv2dShape&) const = default;

 private:
  constexpr index_t extent(index_t padded, index_t kernel_extent) const {
    const index_t room = padded - kernel_extent;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// The convolution of rows `in` of the images to rows `out` of the outputs of `whole`: what a rank computes that has a
/// slice of the rows and those around it that its outputs see, or whose gradients it wants.
///
/// Rows that these outputs see and `in` has not are zeros, as is right beyond the image and for gradients of `in`; rows
/// above or below all that they see are left out. out_rows() is out.extent. Neither `global` is read.
constexpr Conv2dShape conv2d_slice(const Conv2dShape& whole, Slice in, Slice out) {
  Conv2dShape part = whole;
  part.rows = in.extent;
  part.above = in.offset + whole.above - out.offset * whole.stride;
  part.below = (out.extent - 1) * whole.stride + whole.kernel_rows - in.extent - part.above;
  return part;
}

/// Parts of a batch whose weight gradients are summed apart, at most.
inline constexpr index_t conv2d_chunks = 16;

}  // namespace partita::kernels
