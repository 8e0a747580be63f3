// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

// Matrix products. Scalar is float, double, bfloat16 or float16; sums are accumulate_t<Scalar>. Rows may be padded.

namespace partita::kernels {

struct GemmOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  double alpha = 1;
  double beta = 0;
};

/// `batches` matrices of one shape, row-major, batch_stride elements apart (0: one matrix that all share).
template <class Scalar>
struct MatrixBatch {
  Scalar* data = nullptr;
  index_t batches = 0, rows = 0, columns = 0;
  index_t row_stride = 0, batch_stride = 0;
};

/// C = alpha op(A) op(B) + beta C, where op transposes or does not.
///
/// Shapes   op(A) (M, K)   op(B) (K, N)   ->   C (M, N); overwritten, and not read if beta is 0. Any extent may be 0.
/// Runs     enqueued on context.exec(), scratch from context; no fence; allocates only at the first call with a shape.
/// Throws   ShapeError naming the operand and both extents.
/// Cost     cost::gemm.
/// Bits     portable: C(i, j) = fma(beta, C(i, j), alpha s), alpha s if beta is 0, where s is an fma chain over
///          ascending k from 0: of op(A)(i, :), op(B)(:, j) and C(i, j) alone. 16 bits are rounded once, at the end.
template <class Scalar>
void gemm(Context& context, const GemmOptions& options, std::type_identity_t<ConstMatrix<Scalar>> A,
          std::type_identity_t<ConstMatrix<Scalar>> B, Matrix<Scalar> C);

/// The same for every matrix of a batch. Matrices of C must not overlap.
template <class Scalar>
void gemm_batched(Context& context, const GemmOptions& options, std::type_identity_t<MatrixBatch<const Scalar>> A,
                  std::type_identity_t<MatrixBatch<const Scalar>> B, MatrixBatch<Scalar> C);

}  // namespace partita::kernels
