// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>

#include <partita/core/index.hpp>

namespace partita::kernels {

/// Extents of a convolution of one channels-last image. Stride and padding are the same in both directions.
struct Conv2dShape {
  index_t rows = 0, columns = 0, channels = 0;
  index_t filters = 0;
  index_t kernel_rows = 1, kernel_columns = 1;
  index_t stride = 1, padding = 0;

  constexpr index_t out_rows() const { return extent(rows, kernel_rows); }
  constexpr index_t out_columns() const { return extent(columns, kernel_columns); }
  /// Numbers of an image, of the output's image, of a filter.
  constexpr index_t inputs() const { return rows * columns * channels; }
  constexpr index_t outputs() const { return out_rows() * out_columns() * filters; }
  constexpr index_t kernel() const { return kernel_rows * kernel_columns * channels; }

  constexpr auto operator<=>(const Conv2dShape&) const = default;

 private:
  constexpr index_t extent(index_t image, index_t kernel_extent) const {
    const index_t room = image + 2 * padding - kernel_extent;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// Parts of a batch whose weight gradients are summed apart, at most.
inline constexpr index_t conv2d_chunks = 16;

}  // namespace partita::kernels
