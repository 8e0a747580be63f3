// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>

// Batch normalisation over x (R, C): for images R = B rows columns, channels last. Rows may be padded. Scalar is float,
// double, bfloat16 or float16, told by the output; statistics are accumulate_t<Scalar>. Running statistics are their
// owner's: forward says what this batch's are.
//
// All are enqueued on the context's or the given instance, without a fence or an allocation, scratch from the context;
// operands of other shapes: ShapeError naming the operand and both extents.

namespace partita::kernels {

struct BatchnormOptions {
  double epsilon = 1e-5;
  bool relu = false;   ///< y = max(0, normalised x)
  index_t count = 0;   ///< rows behind the statistics, of all ranks; 0: the rows of x
  index_t pixels = 1;  ///< of an image, where rows.leaves > 1: R is (images, pixels)
  Blocks rows = {};    ///< sums over R are trees over blocks of pixels, of image rows: {rows of an image}
};

/// Rows whose sums are chains of their own.
inline constexpr index_t batchnorm_chunk = 256;

/// mean(c) = sum_r x(r, c) / R,   squares(c) = sum_r (x(r, c) - mean(c))^2; zeros for R = 0.
///
/// Ranks that share a batch add: mean = sum R_i mean_i / sum R_i, squares = sum squares_i + R_i (mean_i - mean)^2.
///
/// Cost     cost::batchnorm_stats.
/// Throws   ShapeError also for rows that are not (images, pixels), or that cannot be cut as options.rows says.
/// Bits     per chunk of batchnorm_chunk rows a chain of additions, then one of (x - the chunk's mean)^2, both over
///          ascending rows; chunks are put together in order, in double. With options.rows.leaves > 1, all in double:
///          the tree over blocks of pixels, a block the chain over images and its pixels, over R is the mean, and
///          squares is the tree of (x - mean)^2, the mean not rounded. Column c depends on x(:, c) alone.
/// Source   Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
template <class Scalar>
void batchnorm_stats(Context& context, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> squares);

/// rstd = 1 / sqrt(squares / count + epsilon), and the unbiased variance squares / (count - 1): what running statistics
/// move towards (the biased one, 0, for a count of 1; 0 for none).
///
/// Shapes   squares   ->   variance, rstd, all (C); either may be squares itself.
/// Cost     cost::batchnorm_finish.
template <class Real>
void batchnorm_finish(const Exec& exec, const BatchnormOptions& options,
                      std::type_identity_t<ConstVector<Real>> squares, Vector<Real> variance, Vector<Real> rstd);

/// What ranks that share a batch add up, in one message: sums = R mean, then squares + R mean^2, then R itself.
///
/// Shapes   mean, squares (C), of R rows   ->   sums (2 C + 1), overwritten.
/// Cost     cost::batchnorm_share.
template <class Real>
void batchnorm_share(const Exec& exec, index_t R, std::type_identity_t<ConstVector<Real>> mean,
                     std::type_identity_t<ConstVector<Real>> squares, Vector<double> sums);

/// The statistics of all their rows: mean = sums(c) / R, squares = sums(C + c) - R mean^2 with R = sums(2 C); then as
/// batchnorm_finish, whatever options.count.
///
/// With q = |mean| / deviation the difference errs by about q^2 2^-53 of squares. That is below q 2^-24, what squares
/// lose where x is stored in fp32 or less, as long as such x have a deviation at all (q < 2^24). For x in double it is
/// q times what they lose.
///
/// Shapes   sums (2 C + 1)   ->   mean, variance, rstd (C), overwritten.
/// Cost     cost::batchnorm_join.
template <class Real>
void batchnorm_join(const Exec& exec, const BatchnormOptions& options, ConstVector<double> sums, Vector<Real> mean,
                    Vector<Real> variance, Vector<Real> rstd);

/// y = act((x - mean) (gamma rstd) + beta), act the identity or max(0, .) as options.relu says.
///
/// Shapes   x (R, C)   gamma, beta, mean, rstd (C)   ->   y (R, C), overwritten; may be x.
/// Cost     cost::batchnorm_apply.
/// Bits     element by element.
template <class Scalar>
void batchnorm_apply(const Exec& exec, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd, Matrix<Scalar> y);

/// Statistics of this batch, mean and rstd kept for backward, mean and variance what running ones move towards; then y:
/// stats, finish, apply.
///
/// Shapes   x (R, C)   gamma, beta (C)   ->   y (R, C), mean, variance, rstd (C), overwritten.
/// Cost     cost::batchnorm_forward.
template <class Scalar>
void batchnorm_forward(Context& context, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> variance,
                       Vector<accumulate_t<Scalar>> rstd);

/// y from the running statistics.
///
/// Shapes   as batchnorm_apply.
/// Cost     cost::batchnorm_apply.
template <class Scalar>
void batchnorm_infer(const Exec& exec, const BatchnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> running_mean,
                     std::type_identity_t<ConstVector<accumulate_t<Scalar>>> running_variance, Matrix<Scalar> y);

/// dgamma(c) = rstd(c) sum_r dz(r, c) (x(r, c) - mean(c)),   dbeta(c) = sum_r dz(r, c), where dz = dy, or with relu
/// dy where y > 0 and 0 elsewhere. The gradient of the weights.
///
/// Shapes   x, y, dy (R, C)   mean, rstd (C)   ->   dgamma, dbeta (C), overwritten. y is read with relu only.
/// Cost     cost::batchnorm_backward_sums.
/// Bits     chains over the ascending rows of a chunk, chunks added in order, in double. With options.rows.leaves > 1,
///          all in double: the tree over blocks as in batchnorm_stats. Ranks add their sums.
template <class Scalar>
void batchnorm_backward_sums(Context& context, const BatchnormOptions& options,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                             std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                             std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                             std::type_identity_t<ConstMatrix<Scalar>> dy, Vector<accumulate_t<Scalar>> dgamma,
                             Vector<accumulate_t<Scalar>> dbeta);

/// What ranks that share a batch add up in backward: means = dgamma / rows, then dbeta / rows. The halves of their sum
/// stand for dgamma and dbeta in batchnorm_backward_input with a count of 1.
///
/// Shapes   rows (1): of all ranks, at least 1   dgamma, dbeta (C), of the rows here   ->   means (2 C), overwritten.
/// Cost     cost::batchnorm_share_slopes.
template <class Real>
void batchnorm_share_slopes(const Exec& exec, ConstVector<double> rows, std::type_identity_t<ConstVector<Real>> dgamma,
                            std::type_identity_t<ConstVector<Real>> dbeta, Vector<Real> means);

/// dx = gamma rstd (dz - dbeta / count - (x - mean) rstd dgamma / count), dgamma and dbeta from backward_sums.
///
/// Shapes   x, y, dy (R, C)   gamma, mean, rstd, dgamma, dbeta (C)   ->   dx (R, C), overwritten; may be dy.
/// Cost     cost::batchnorm_backward_input.
/// Bits     element by element.
template <class Scalar>
void batchnorm_backward_input(const Exec& exec, const BatchnormOptions& options,
                              std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> y,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> dgamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> dbeta,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

}  // namespace partita::kernels
