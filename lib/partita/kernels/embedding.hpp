// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

// Word and position embedding, and bags of words. Scalar is float, double, bfloat16 or float16; rows may be padded.

namespace partita::kernels {

/// y(i, :) = W(tokens(i), :) + P(i mod T, :); without the second term if P is empty.
/// A token outside [0, V) gives a row of NaN.
///
/// words    which of words.global words the rows of W are; extent 0: all. For another word the first term is 0, so that
///          parts of a vocabulary add up, and NaN is for tokens outside [0, words.global).
/// Shapes   tokens (B T)   W (V, C)   P (T, C) or empty   ->   y (B T, C), overwritten. Any extent but T may be 0.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::embedding_forward.
/// Bits     row by row.
template <class Scalar>
void embedding_forward(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                       std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstMatrix<Scalar>> P,
                       Matrix<Scalar> y, Slice words = {});

/// dW(v, :) = sum over i with tokens(i) = v of dy(i, :),   dP(t, :) = sum over i with i mod T = t of dy(i, :), with
/// T = options.tokens; with Store::accumulate what was there and these. A token outside [0, V) adds to dP alone.
///
/// words    as in forward: a token of another word adds to dP alone, too.
/// Shapes   tokens (B T)   dy (B T, C)   ->   dW (V, C)   dP (T, C) or empty; accumulate_t<Scalar>; overwritten or
///          added to.
/// Runs     enqueued on context.exec(), scratch from context (V C numbers where a host adds, and for a tree); no fence.
///          On a device a row of dW looks at every token.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::embedding_backward_weights.
/// Bits     an element is a chain of additions over ascending i from 0, in accumulate_t<Scalar>, or of dW the tree of
///          such chains that options.token_blocks says. What was there is added to the sum: one rounding.
template <class Scalar>
void embedding_backward_weights(Context& context, const TokenBlocks& options, Store store,
                                ConstVector<std::int32_t> tokens, std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dP, Slice words = {});

/// y(b, :) = 1/T sum over t of W(tokens(b T + t), :), the mean of a bag of T words. A token outside [0, V) gives a row
/// of NaN.
///
/// Shapes   tokens (B T)   W (V, C)   ->   y (B, C), overwritten. Any extent but T may be 0.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::embedding_bag_forward.
/// Bits     row by row: a chain of additions over ascending t from 0, in accumulate_t<Scalar>, times 1/T.
template <class Scalar>
void embedding_bag_forward(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> y);

/// dW(v, :) = sum over (b, t) with tokens(b T + t) = v of 1/T dy(b, :); with Store::accumulate what was there and this.
/// A token outside [0, V) adds to nothing.
///
/// Shapes   tokens (B T)   dy (B, C)   ->   dW (V, C), accumulate_t<Scalar>; overwritten or added to.
/// Runs     enqueued on context.exec(), scratch from context (V C numbers where a host adds); no fence. On a device a
///          row of dW looks at every token.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::embedding_bag_backward_weights.
/// Bits     an element is a chain of additions over ascending (b, t) from 0, in accumulate_t<Scalar>. What was there is
///          added to the sum: one rounding.
template <class Scalar>
void embedding_bag_backward_weights(Context& context, index_t T, Store store, ConstVector<std::int32_t> tokens,
                                    std::type_identity_t<ConstMatrix<Scalar>> dy,
                                    std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW);

}  // namespace partita::kernels
