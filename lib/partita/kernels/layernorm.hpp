// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

// Layer norm (Ba et al. 2016) and root-mean-square norm (Zhang and Sennrich 2019) of rows. Scalar is float, double,
// bfloat16 or float16; arithmetic, mean and rstd are accumulate_t<Scalar>. Rows may be padded.

namespace partita::kernels {

/// n(b, c) = (x(b, c) - mean(b)) rstd(b),   y = n gamma + beta,
/// mean = 1/C sum_c x,   rstd = 1 / sqrt(1/C sum_c (x - mean)^2 + epsilon).
///
/// Shapes   x (B, C)   gamma, beta (C)   ->   y (B, C)   mean, rstd (B); all overwritten. y may be x. B may be 0.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::layernorm_forward.
/// Bits     a row depends on itself alone: sums of 32 lanes, added by halves (backend/rows.hpp).
template <class Scalar>
void layernorm_forward(const Exec& exec, double epsilon, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> rstd);

/// dx = rstd (dy gamma - 1/C sum_c dy gamma - n 1/C sum_c dy gamma n). All that is not said is as above.
///
/// Shapes   x, dy (B, C)   gamma (C)   mean, rstd (B)   ->   dx (B, C), overwritten; may be dy.
/// Cost     cost::layernorm_backward_input.
template <class Scalar>
void layernorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

/// dgamma = sum_b dy(b, :) n(b, :),   dbeta = sum_b dy(b, :); with Store::accumulate what was there and these.
///
/// Shapes   x, dy (B, C)   mean, rstd (B)   ->   dgamma, dbeta (C) of accumulate_t<Scalar>, overwritten (zeros for
///          B = 0), or added to.
/// Runs     enqueued on context.exec(), scratch from context; no fence.
/// Throws   ShapeError naming the operand and both extents, or rows that are not (samples, tokens).
/// Cost     cost::layernorm_backward_weights.
/// Bits     rows in 16 runs of ascending rows, then the runs in ascending order: of column c alone, and of B. Or the
///          tree that `options` says, each leaf of which is that. What was there is added to the sum: one rounding.
template <class Scalar>
void layernorm_backward_weights(Context& context, const TokenBlocks& options, Store store,
                                std::type_identity_t<ConstMatrix<Scalar>> x,
                                std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                                std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                                std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<Vector<accumulate_t<Scalar>>> dgamma,
                                std::type_identity_t<Vector<accumulate_t<Scalar>>> dbeta);

/// n(b, c) = x(b, c) rstd(b),   y = n gamma,   rstd = 1 / sqrt(1/C sum_c x^2 + epsilon).
/// As layer norm without mean and beta, in all else too.
///
/// Cost     cost::rmsnorm_forward, ...
template <class Scalar>
void rmsnorm_forward(const Exec& exec, double epsilon, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, Matrix<Scalar> y,
                     Vector<accumulate_t<Scalar>> rstd);

/// dx = rstd (dy gamma - n 1/C sum_c dy gamma n).
template <class Scalar>
void rmsnorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                            std::type_identity_t<ConstVector<Scalar>> gamma,
                            std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                            std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx);

/// dgamma = sum_b dy(b, :) n(b, :).
template <class Scalar>
void rmsnorm_backward_weights(Context& context, const TokenBlocks& options, Store store,
                              std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy,
                              std::type_identity_t<Vector<accumulate_t<Scalar>>> dgamma);

}  // namespace partita::kernels
