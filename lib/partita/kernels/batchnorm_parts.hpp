// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <type_traits>

#include <partita/core/tree.hpp>
#include <partita/kernels/batchnorm.hpp>

// Batch normalisation of images of which only some rows are here, in deterministic mode: nodes of the trees of
// batchnorm_stats and batchnorm_backward_sums. In x (R, C), R is (images, pixels) with options.pixels of an image here,
// and a node's leaves are the options.rows.leaves blocks of these, image rows: {rows of an image here}; the first is 0.
// A leaf is the chain over images and within each over its pixels, in double.
//
//     sums of x  ->  merged: batchnorm_mean  ->  squares about it  ->  merged: batchnorm_finish_parts
//     batchnorm_apply on what is here; backward: slopes  ->  merged: batchnorm_finish_slopes
//     batchnorm_backward_input on what is here, options.count the rows of all
//
// Where nodes cover the rows of the whole, and are merged as core/tree.hpp says, the results have the bits of
// batchnorm_stats, batchnorm_finish and batchnorm_backward_sums with rows.leaves = image rows of the whole, 2 or more.
//
// All are enqueued on the context's or the given instance, a kernel a node, without a fence or an allocation, scratch
// from the context; operands of other shapes, and nodes with leaves that are not here: ShapeError naming the operand
// and both extents. Without nodes nothing is done.

namespace partita::kernels {

/// sums(n, c) = the sum of x(r, c) over the leaves of nodes[n].
///
/// Shapes   x (R, C)   ->   sums (nodes, C), overwritten.
/// Cost     cost::batchnorm_sum_nodes.
/// Bits     the node of the tree over blocks of pixels, in double. Column c depends on x(:, c) alone.
template <class Scalar>
void batchnorm_sum_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                         std::type_identity_t<ConstMatrix<Scalar>> x, Matrix<double> sums);

/// sums(n, c) = the sum of (x(r, c) - mean(c))^2 over the leaves of nodes[n], mean that of all rows, not rounded.
///
/// Shapes   x (R, C)   mean (C)   ->   sums (nodes, C), overwritten.
/// Cost     cost::batchnorm_square_nodes.
/// Bits     as batchnorm_sum_nodes; squares are fused into their chain.
template <class Scalar>
void batchnorm_square_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                            std::type_identity_t<ConstMatrix<Scalar>> x, ConstVector<double> mean, Matrix<double> sums);

/// sums(n, c) = the sum of dz(r, c), and sums(n, C + c) = that of dz(r, c) (x(r, c) - mean(c)), over the leaves of
/// nodes[n]: what dbeta and dgamma are made of; dz as in batchnorm_backward_sums, mean as batchnorm_finish_parts
/// rounded it.
///
/// Shapes   x, y, dy (R, C)   mean (C)   ->   sums (nodes, 2 C), overwritten. y is read with relu only.
/// Cost     cost::batchnorm_slope_nodes.
/// Bits     as batchnorm_sum_nodes; products are fused into their chain.
template <class Scalar>
void batchnorm_slope_nodes(Context& context, const BatchnormOptions& options, std::span<const Node> nodes,
                           std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                           std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                           std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<double> sums);

/// mean(c) = sums(c) / R, not rounded, from the root of the sums of all R rows; zeros for R = 0.
///
/// Shapes   sums (C)   ->   mean (C), overwritten; may be sums.
/// Cost     cost::batchnorm_mean.
void batchnorm_mean(const Exec& exec, index_t R, ConstVector<double> sums, Vector<double> mean);

/// The mean rounded, and from the root of the squares what batchnorm_finish makes of them; options.count is the rows of
/// all.
///
/// Shapes   unrounded, squares (C)   ->   mean, variance, rstd (C), overwritten.
/// Cost     cost::batchnorm_finish_parts.
/// Bits     squares are rounded to Real before, as batchnorm_stats does.
template <class Real>
void batchnorm_finish_parts(const Exec& exec, const BatchnormOptions& options, ConstVector<double> unrounded,
                            ConstVector<double> squares, Vector<Real> mean, Vector<Real> variance, Vector<Real> rstd);

/// dgamma(c) = rstd(c) sums(C + c),   dbeta(c) = sums(c), from the root of the slopes of all rows.
///
/// Shapes   sums (2 C)   rstd (C)   ->   dgamma, dbeta (C), overwritten.
/// Cost     cost::batchnorm_finish_slopes.
/// Bits     the product in double, rounded once, as batchnorm_backward_sums does.
template <class Real>
void batchnorm_finish_slopes(const Exec& exec, ConstVector<double> sums, std::type_identity_t<ConstVector<Real>> rstd,
                             Vector<Real> dgamma, Vector<Real> dbeta);

}  // namespace partita::kernels
