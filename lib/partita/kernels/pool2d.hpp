// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/tree.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>

// Pooling of channels-last images. A row of a matrix is an image, (rows, columns, channels); rows may be padded. Scalar
// is float, double, bfloat16 or float16, told by the output; sums are in accumulate_t<Scalar>. PyTorch's rules: windows
// that do not fit are left out, padding is at most half the kernel, a maximum never lies in the padding, an average
// counts the padding's zeros. A slice of an image's rows has other padding above and below: pool2d_slice.
//
// All are enqueued on exec, without a fence or an allocation; operands of other shapes: ShapeError naming the operand
// and both extents. An element depends on the windows that it is in alone.

namespace partita::kernels {

struct Pool2dShape {
  index_t rows = 0, columns = 0, channels = 0;
  index_t kernel_rows = 1, kernel_columns = 1;
  index_t stride = 1, padding = 0;
  /// Rows of padding above and below: `padding` is that of columns. Negative: so many rows of the image are in no
  /// window, not read, and their dx is 0.
  index_t above = padding, below = padding;

  KOKKOS_FUNCTION constexpr index_t out_rows() const { return extent(rows + above + below, kernel_rows); }
  KOKKOS_FUNCTION constexpr index_t out_columns() const { return extent(columns + 2 * padding, kernel_columns); }
  /// Numbers of an image and of the output's image.
  constexpr index_t inputs() const { return rows * columns * channels; }
  constexpr index_t outputs() const { return out_rows() * out_columns() * channels; }

 private:
  KOKKOS_FUNCTION constexpr index_t extent(index_t padded, index_t kernel) const {
    const index_t room = padded - kernel;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// The pooling of a slice: rows `out` of whole's outputs from rows `in` of its images. Where `in` has all rows that
/// windows of `out` reach, forward has the bits of these rows of whole; where `out` has all windows that reach a row of
/// `in`, backward has those of this row. Rows of whole that are not in `in` are padding here.
constexpr Pool2dShape pool2d_slice(const Pool2dShape& whole, Slice in, Slice out) {
  Pool2dShape slice = whole;
  slice.rows = in.extent;
  slice.above = in.offset + whole.above - out.offset * whole.stride;
  slice.below = (out.extent - 1) * whole.stride + whole.kernel_rows - in.extent - slice.above;
  return slice;
}

/// y(b, r, c, k) = max of x over the window, and where in the window it lies: row x kernel_columns + column. The first
/// of equals wins; a NaN beats every number, the last NaN the others. A window that lies in the padding, as a slice may
/// have, gives 0, and -1: no pixel wins it.
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

/// Nodes of the tree of global_average_pool2d_forward, for images of which only some rows are here: sums(n, b C + k) =
/// the node's sum of x(b, ., k), neither divided nor rounded to Scalar. A node's leaves are the rows.leaves blocks of
/// the pixels here, image rows: {rows of an image here}; the first is 0.
///
/// Shapes   x (B, pixels C)   ->   sums (nodes, B C), overwritten.
/// Throws   ShapeError also for a node that is not of these leaves.
/// Cost     cost::global_average_pool2d_nodes.
/// Bits     nodes that cover the rows of the whole, merged as core/tree.hpp says, then global_average_pool2d_finish:
///          those of global_average_pool2d_forward with a leaf a row.
template <class Scalar>
void global_average_pool2d_nodes(const Exec& exec, index_t pixels, const Blocks& rows, std::span<const Node> nodes,
                                 std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<accumulate_t<Scalar>> sums);

/// y(b, k) = sum(b C + k) / pixels, pixels those of the whole image.
///
/// Shapes   sum (B C)   ->   y (B, C), overwritten; zeros without a pixel.
/// Cost     cost::global_average_pool2d_finish.
/// Bits     element by element, rounded as global_average_pool2d_forward does.
template <class Scalar>
void global_average_pool2d_finish(const Exec& exec, index_t pixels,
                                  std::type_identity_t<ConstVector<accumulate_t<Scalar>>> sum, Matrix<Scalar> y);

/// dx(b, p, k) = dy(b, k) / count, count the pixels of the whole image where only some are here; 0: `pixels`.
///
/// Shapes   dy (B, C)   ->   dx (B, pixels C), overwritten.
/// Cost     cost::global_average_pool2d_backward.
template <class Scalar>
void global_average_pool2d_backward(const Exec& exec, index_t pixels, std::type_identity_t<ConstMatrix<Scalar>> dy,
                                    Matrix<Scalar> dx, index_t count = 0);

}  // namespace partita::kernels
