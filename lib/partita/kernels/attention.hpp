// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/index.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

// Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), several heads of width D. q, k, v and y are
// matrices (B T, H D): head h has columns [h D, (h + 1) D). Rows may be padded, so that q, k and v may be column ranges
// of one (B T, 3 H D) matrix. Scalar is float, double, bfloat16 or float16; arithmetic and lse are
// accumulate_t<Scalar>.

namespace partita::kernels {

/// blockwise   online softmax over blocks of keys (Milakov and Gimelshein 2018; Dao et al. 2022): on a host, scratch
///             per thread of O(block x (block + D)) numbers forward and O(T D) backward; on a device, none
/// plain       all scores of a head at once: scratch of B H T T numbers forward, twice that backward
enum class AttentionAlgorithm { blockwise, plain };

std::string_view name(AttentionAlgorithm algorithm);

struct AttentionOptions {
  index_t T = 1;       ///< tokens of a sequence: row b T + t is token t of sample b
  index_t H = 1;       ///< heads
  bool causal = true;  ///< token t sees keys 0..t only
  AttentionAlgorithm algorithm = AttentionAlgorithm::blockwise;
  Slice queries = {};  ///< tokens whose y is computed, Q of T; {} means all of them
};

/// The tokens whose y is computed.
/// Throws   ShapeError if they are no part of the T tokens.
Slice queries_of(const AttentionOptions& options);

/// y(t) = sum_s p(t, s) v(s),   p(t, s) = exp(z(t, s) - lse(t)),   z(t, s) = q(t) . k(s) / sqrt(D),
/// lse(t) = log sum_s exp(z(t, s)), for every sample and head; s runs over all keys, or over s <= t if causal.
///
/// Shapes   q, k, v (B T, H D)   ->   y (B Q, H D)   lse (B H Q), the token fastest; both overwritten. B T may be 0.
///          Rows of q that are no queries are not read.
/// Runs     enqueued on context.exec(), scratch from context; no fence.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::attention_forward.
/// Bits     on any backend there is only this one; y(t) and lse(t) depend on q(t) and on the keys and values that t
///          sees, in chains over ascending d and s, rescaled once a block of 64 keys. Each head, sample and query is
///          alone; NaN and infinities reach who sees them and nobody else.
template <class Scalar>
void attention_forward(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                       std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> lse);

/// The same for the last Q of T tokens, options.queries, whose keys and values were put behind those of earlier tokens.
///
/// Shapes   q (B Q, H D)   k, v (B S, H D), S >= T: of each sample the first T rows count and no others are read
///          ->   y (B Q, H D)   lse (B H Q); both overwritten. B may be 0.
/// Runs     as attention_forward.
/// Throws   as attention_forward.
/// Cost     cost::attention_forward.
/// Bits     y(t) is what attention_forward gives of all T tokens, bit by bit.
template <class Scalar>
void attention_cached(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                      std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                      Matrix<Scalar> y, Vector<accumulate_t<Scalar>> lse);

/// Gradients with respect to q, k and v, from y and lse of the forward pass; p is computed anew.
///
///   dv(s) = sum_t p(t, s) dy(t)   dz(t, s) = p(t, s) (dy(t) . v(s) - dy(t) . y(t))
///   dq(t) = sum_s dz(t, s) k(s) / sqrt(D)   dk(s) = sum_t dz(t, s) q(t) / sqrt(D)
///
/// t runs over the queries; dq of other tokens is 0.
///
/// Shapes   q, k, v (B T, H D)   y, dy (B Q, H D)   lse (B H Q)   ->   dq, dk, dv (B T, H D), overwritten.
/// Runs     as attention_forward; parallel over samples and heads.
/// Cost     cost::attention_backward.
/// Bits     dq(t) as y(t); dk(s) and dv(s) are chains over the ascending t that see s.
template <class Scalar>
void attention_backward(Context& context, const AttentionOptions& options, std::type_identity_t<ConstMatrix<Scalar>> q,
                        std::type_identity_t<ConstMatrix<Scalar>> k, std::type_identity_t<ConstMatrix<Scalar>> v,
                        std::type_identity_t<ConstMatrix<Scalar>> y,
                        std::type_identity_t<ConstVector<accumulate_t<Scalar>>> lse,
                        std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dq, Matrix<Scalar> dk,
                        Matrix<Scalar> dv);

}  // namespace partita::kernels
