// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

// Group normalisation (Wu and He 2018) of channels-last images: the channels of an image, in `groups` equal runs, are
// normalised over the group's channels and all pixels. A row of x is an image, (pixels, C); rows may be padded. Scalar
// is float, double, bfloat16 or float16, told by the outputs; statistics are accumulate_t<Scalar>.
//
// All are enqueued on the context's instance, without a fence, scratch from the context; operands of other shapes, or
// channels that are no multiple of the groups: ShapeError naming the operand and both extents.
//
// Bits     per image and channel chains over the ascending pixels; a group's channels (for weights: the images) are put
//          together in order, in double. With options.rows.leaves > 1, all in double: trees over blocks of pixels; a
//          block is put together from its channels' (for weights: its images') chains, squares are about the mean, not
//          rounded. What belongs to an image depends on that image and the weights alone.

namespace partita::kernels {

struct GroupnormOptions {
  index_t groups = 1;
  double epsilon = 1e-5;
  Blocks rows = {};  ///< sums over pixels are trees over blocks of them, of image rows: {rows of an image}
};

/// y(b, p, c) = (x(b, p, c) - mean(b, g)) rstd(b, g) gamma(c) + beta(c), g the group of c; mean and
/// rstd = 1 / sqrt(variance + epsilon) over the pixels and channels of (b, g), kept for backward.
///
/// Shapes   x (B, P C)   gamma, beta (C)   ->   y (B, P C), mean, rstd (B, groups), overwritten.
/// Cost     cost::groupnorm_forward.
template <class Scalar>
void groupnorm_forward(Context& context, const GroupnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Matrix<accumulate_t<Scalar>> mean, Matrix<accumulate_t<Scalar>> rstd);

/// dx = rstd (gamma dy - s1 / n - (x - mean) rstd s2 / n), with s1 and s2 the sums of gamma dy and of
/// gamma dy (x - mean) rstd over the n numbers of the image's group.
///
/// Shapes   x, dy (B, P C)   gamma (C)   mean, rstd (B, groups)   ->   dx (B, P C), overwritten; may be dy.
/// Cost     cost::groupnorm_backward_input.
template <class Scalar>
void groupnorm_backward_input(Context& context, const GroupnormOptions& options,
                              std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

/// dgamma(c) = sum_{b, p} dy (x - mean) rstd,   dbeta(c) = sum_{b, p} dy; with Store::accumulate what was there and
/// these, rounded once.
///
/// Shapes   x, dy (B, P C)   mean, rstd (B, groups)   ->   dgamma, dbeta (C), overwritten (zeros for B = 0), or added
///          to.
/// Cost     cost::groupnorm_backward_weights.
template <class Scalar>
void groupnorm_backward_weights(Context& context, const GroupnormOptions& options, Store store,
                                std::type_identity_t<ConstMatrix<Scalar>> x,
                                std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> mean,
                                std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> rstd,
                                std::type_identity_t<ConstMatrix<Scalar>> dy, Vector<accumulate_t<Scalar>> dgamma,
                                Vector<accumulate_t<Scalar>> dbeta);

}  // namespace partita::kernels
