// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

namespace partita::kernels::backend {

/// A matrix to read, any strides: a transposed one is the same data with its strides exchanged.
template <class Scalar>
struct Operand {
  const Scalar* data;
  index_t row_stride;
  index_t column_stride;

  KOKKOS_INLINE_FUNCTION Scalar operator()(index_t i, index_t j) const {
    return data[i * row_stride + j * column_stride];
  }
};

/// What happens to an element when its sum is complete: alpha sum, + beta C unless beta is 0, + bias(column) unless
/// null, then the activation.
template <class Scalar>
struct Epilogue {
  using Sum = accumulate_t<Scalar>;
  const Scalar* bias = nullptr;
  Activation activation = Activation::identity;
  Sum alpha = 1, beta = 0;
  bool continues = false;  ///< the chain starts at C, an earlier product's, instead of 0. C is of Sum, and beta 0.

  /// `before` is read only if beta is not 0.
  template <class Out>
  KOKKOS_INLINE_FUNCTION Sum operator()(Sum sum, index_t column, const Out& before) const {
    Sum value = alpha * sum;
    if (beta != Sum(0)) value = Kokkos::fma(beta, Sum(before), value);
    return activate(activation, bias == nullptr ? value : value + Sum(bias[column]));
  }
};

/// The labels of one caller's kernels. Kept as strings: a literal would be copied to the heap at every launch.
struct GemmLabels {
  std::string pack;
  std::string multiply;

  explicit GemmLabels(const std::string& caller) : pack(caller + "::pack"), multiply(caller + "::multiply") {}
};

/// C = epilogue(A B), overwritten. Out is Scalar, or accumulate_t<Scalar>: sums that are not rounded.
///
/// Shapes   A (M, K)   B (K, N)   ->   C (M, N), row-major with rows `leading` apart; any extent may be 0.
/// Runs     enqueued on context.exec(), scratch from context; no fence.
/// Bits     C(i, j) = epilogue(fma(a(i, K-1), b(K-1, j), ... fma(a(i, 0), b(0, j), 0))): one chain over ascending k, in
///          accumulate_t<Scalar>, whatever the extents, strides, alignment and threads. Blocks over k store and reload
///          the chain's value; C is rounded to 16 bits once.
template <class Scalar, class Out>
void portable_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                   Operand<Scalar> B, Epilogue<Scalar> epilogue, Out* C, index_t leading);

/// C = A B by the same product. B are weights: on a host they are packed once in a period of PackedWeights.
/// layout   of PackedWeights, for weights of these extents and strides.
template <class Scalar>
void weight_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                 Operand<Scalar> B, int layout, Scalar* C, index_t leading);

/// portable_gemm, but the sum over k is cut: each leaf is such a chain, the tree's root goes through the epilogue.
template <class Scalar, class Out>
void blocked_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                  Operand<Scalar> B, const Blocks& blocks, Epilogue<Scalar> epilogue, Out* C, index_t leading);

/// One node of that tree.
template <class Scalar>
void node_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
               Operand<Scalar> B, const Blocks& blocks, Node node, accumulate_t<Scalar>* C, index_t leading);

/// c(i, j) = epilogue(sums(i, j)), with beta c(i, j). In is Scalar or accumulate_t<Scalar>; sums may be c. Enqueued; no
/// fence, no allocation.
template <class Scalar, class Out, class In = accumulate_t<Scalar>>
void apply_epilogue(const Exec& exec, Epilogue<Scalar> epilogue, std::type_identity_t<ConstMatrix<In>> sums,
                    Matrix<Out> c);

/// In place, for a vendor's GEMM that cannot fuse it.
template <class Scalar>
void apply_epilogue(const Exec& exec, Epilogue<Scalar> epilogue, Matrix<Scalar> c) {
  apply_epilogue<Scalar, Scalar, Scalar>(exec, epilogue, c, c);
}

/// sum(j) = a(0, j) + a(1, j) + ..., [+ sum(j)]: rows in ascending order, or a tree of such chains.
/// Enqueued, scratch from context if there is a tree; no fence.
template <class Scalar>
void column_sum(Context& context, const Blocks& blocks, Store store, ConstMatrix<Scalar> a,
                Vector<accumulate_t<Scalar>> sum);

}  // namespace partita::kernels::backend
