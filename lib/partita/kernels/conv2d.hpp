// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/tree.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/store.hpp>

// Two-dimensional convolution (cross-correlation, as the field has it) of channels-last images. A row of a matrix is an
// image: (rows, columns, channels) one after the other; rows may be padded. W (F, kernel_rows kernel_columns C) holds
// F filters, channels-last too. Scalar is float, double, bfloat16 or float16, told by the outputs of that type, or
// named, conv2d_backward_weights<float>(...); sums are in accumulate_t<Scalar>, and outputs of Scalar rounded once.
// Pixels beyond the edge are zeros. Images may be slices of rows of larger ones: see Conv2dShape::above, conv2d_slice.

namespace partita::kernels {

/// y(b, r, c, f) = b(f) + sum_{i, j, k} x(b, r s - a + i, c s - p + j, k) W(f, i, j, k): s stride, p padding, a above.
///
/// Shapes   x (B, inputs)   W (F, kernel)   b (F) or empty   ->   y (B, outputs), overwritten; B may be 0.
/// Runs     enqueued on context.exec(); no fence; scratch from context; allocates only at the first call with a shape.
/// Throws   ShapeError naming the operand and both extents, or for a kernel larger than the padded image.
/// Cost     cost::conv2d_forward.
/// Bits     portable: a chain of fused multiply-adds over ascending (i, j, k) from 0, zeros beyond the edge included,
///          then + b(f): it depends on the pixels below the kernel, W(f, :) and b(f) alone. A slice of the rows that
///          has all of these gives the whole image's bits; so below.
/// Source   tiles that read the image in place: Georganas et al. 2018, "Anatomy of high-performance deep learning
///          convolutions on SIMD architectures".
template <class Scalar>
void conv2d_forward(Context& context, const Conv2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y);

/// dx(b, r, c, k) = sum of dy(b, r', c', f) W(f, i, j, k) over r' s - a + i = r, c' s - p + j = c and f.
///
/// Shapes   dy (B, outputs)   W (F, kernel)   ->   dx (B, inputs), overwritten.
/// Runs     as conv2d_forward.
/// Cost     cost::conv2d_backward_input.
/// Bits     portable: a chain of fused multiply-adds over ascending (r', c', f) from 0, zeros beyond dy's edge
///          included; it depends on the pixels of dy that saw this one and on W(:, :, :, k) alone.
template <class Scalar>
void conv2d_backward_input(Context& context, const Conv2dShape& shape, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx);

/// dW(f, i, j, k) = sum_{b, r, c} dy(b, r, c, f) x(b, r s - a + i, c s - p + j, k),
/// db(f) = sum_{b, r, c} dy(b, r, c, f); with Store::accumulate what was there and these.
///
/// Shapes   x (B, inputs)   dy (B, outputs)   ->   dW (F, kernel)   db (F) or empty: left out; accumulate_t<Scalar>;
///          overwritten (zeros for B = 0), or added to.
/// Runs     as conv2d_forward. With rows.leaves > 1 portable, whatever the context says.
/// Throws   as conv2d_forward, and for rows that cannot be cut so (rows.outer is 1: a leaf is the chain over images).
/// Cost     cost::conv2d_backward_weights.
/// Bits     portable: the batch is cut into n = min(B, conv2d_chunks) chunks at images floor(i B / n); in each a chain
///          of fused multiply-adds (db: of additions) over ascending (b, r, c) from 0; then the chunks' sums are added
///          in order. Or the tree over `rows` of the outputs' images, each leaf of which is that over its rows. What
///          was there is added to the sum: one rounding. An element depends on its own f, i, j, k of x and dy alone.
///          db's are the same in any backend.
template <class Scalar>
void conv2d_backward_weights(Context& context, const Conv2dShape& shape, const Blocks& rows, Store store,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                             std::type_identity_t<Vector<accumulate_t<Scalar>>> db);

/// Nodes of the trees in which conv2d_backward_weights ends where a leaf is one row of the outputs: what a rank that
/// holds a slice of the rows can add up. A node counts its leaves from the first output row that is here.
///
/// Shapes   x (B, inputs)   dy (B, outputs)   ->   sums (nodes, F kernel), or (nodes, F kernel + F): dW (F, kernel) of
///          each node, then its db (F); accumulate_t<Scalar>, overwritten (zeros for B = 0).
/// Runs     as conv2d_forward; portable in any mode.
/// Throws   as conv2d_forward, and for a node that is not of out_rows() leaves.
/// Cost     cost::conv2d_backward_weights of the nodes' rows.
/// Bits     those of the nodes in the whole image's sum, if x has all rows that the nodes' see: nodes of all ranks,
///          added as tree_merges says, are its dW and db with rows.leaves = out_rows().
template <class Scalar>
void conv2d_backward_weights_nodes(Context& context, const Conv2dShape& shape, std::span<const Node> nodes,
                                   std::type_identity_t<ConstMatrix<Scalar>> x,
                                   std::type_identity_t<ConstMatrix<Scalar>> dy,
                                   std::type_identity_t<Matrix<accumulate_t<Scalar>>> sums);

}  // namespace partita::kernels
