// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>

// Pooling of channels-last images. A row of a matrix is an image, (rows, columns, channels); rows may be padded. Scalar
// is float, double, bfloat16 or float16, told by the output; sums are in accumulate_t<Scalar>. PyTorch's rules: windows
// that do not fit are left out, padding is at most half the kernel, a maximum never lies in the padding, an average
// counts the padding's zeros.
//
// All are enqueued on exec, without a fence or an allocation; operands of other shapes: ShapeError naming the operand
// and both extents. An element depends on the windows that it is in alone.

namespace partita::kernels {

struct Pool2dShape {
  index_t rows = 0, columns = 0, channels = 0;
  index_t kernel_rows = 1, kernel_columns = 1;
  index_t stride = 1, padding = 0;

  KOKKOS_FUNCTION constexpr index_t out_rows() const { return extent(rows, kernel_rows); }
  KOKKOS_FUNCTION constexpr index_t out_columns() const { return extent(columns, kernel_columns); }
  /// Numbers of an image and of the output's image.
  constexpr index_t inputs() const { return rows * columns * channels; }
  constexpr index_t outputs() const { return out_rows() * out_columns() * channels; }

 private:
  KOKKOS_FUNCTION constexpr index_t extent(index_t image, index_t kernel) const {
    const index_t room = image + 2 * padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// y(b, r, c, k) = max of x over the window, and where in the window it lies: row x kernel_columns + column. The first
/// of equals wins; a NaN beats every number, the last NaN the others.
///
/// Shapes   x (B, inputs)   ->   y, winner (B, outputs), overwritten.
/// Cost     cost::max_pool2d_forward.
template <class Scalar>
void max_pool2d_forward(const Exec& exec, const Pool2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> x,
                        Matrix<Scalar> y, Matrix<std::int32_t> winner);

/// dx = sum of dy over the windows that the pixel won, in ascending order of windows.
///
/// Shapes   dy, winner (B, outputs)   ->   dx (B, inputs), overwritten.
/// Cost     cost::max_pool2d_backward.
template <class Scalar>
void max_pool2d_backward(const Exec& exec, const Pool2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> dy,
                         ConstMatrix<std::int32_t> winner, Matrix<Scalar> dx);

/// y = sum of x over the window, in ascending order, / (kernel_rows kernel_columns).
///
/// Shapes   x (B, inputs)   ->   y (B, outputs), overwritten.
/// Cost     cost::average_pool2d_forward.
template <class Scalar>
void average_pool2d_forward(const Exec& exec, const Pool2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> x,
                            Matrix<Scalar> y);

/// dx = sum of dy over the windows with the pixel, in ascending order, / (kernel_rows kernel_columns).
///
/// Shapes   dy (B, outputs)   ->   dx (B, inputs), overwritten.
/// Cost     cost::average_pool2d_backward.
template <class Scalar>
void average_pool2d_backward(const Exec& exec, const Pool2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             Matrix<Scalar> dx);

/// y(b, k) = sum of x(b, p, k) over the pixels p, in ascending order, / pixels; with rows.leaves > 1 the tree over
/// blocks of pixels, of image rows: {rows of an image}.
///
/// Shapes   x (B, pixels C)   ->   y (B, C), overwritten; zeros without a pixel.
/// Cost     cost::global_average_pool2d_forward.
template <class Scalar>
void global_average_pool2d_forward(const Exec& exec, index_t pixels, const Blocks& rows,
                                   std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<Scalar> y);

/// dx(b, p, k) = dy(b, k) / pixels.
///
/// Shapes   dy (B, C)   ->   dx (B, pixels C), overwritten.
/// Cost     cost::global_average_pool2d_backward.
template <class Scalar>
void global_average_pool2d_backward(const Exec& exec, index_t pixels, std::type_identity_t<ConstMatrix<Scalar>> dy,
                                    Matrix<Scalar> dx);

}  // namespace partita::kernels
