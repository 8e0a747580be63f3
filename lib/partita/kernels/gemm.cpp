// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/gemm.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/choose.hpp>
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/vendor.hpp>

namespace partita::kernels {
namespace {

template <class Scalar>
backend::Operand<Scalar> operand(const MatrixBatch<const Scalar>& a, bool transposed, index_t batch) {
  const Scalar* const data = a.data + batch * a.batch_stride;
  if (transposed) return {data, 1, a.row_stride};
  return {data, a.row_stride, 1};
}

template <class Scalar>
MatrixBatch<Scalar> batch_of_one(const Matrix<Scalar>& a) {
  return {a.data(), 1, index_t(a.extent(0)), index_t(a.extent(1)), index_t(a.stride(0)), 0};
}

template <class Scalar>
void check_operands(const char* function, const GemmOptions& o, const MatrixBatch<const Scalar>& A,
                    const MatrixBatch<const Scalar>& B, const MatrixBatch<Scalar>& C) {
  const auto require = [&](const char* a, const char* of_a, index_t has, const char* b, const char* of_b, index_t other,
                           const char* expected) {
    backend::require_extent(function, a, of_a, std::size_t(has), b, of_b, std::size_t(other), expected);
  };
  const char *const rows = "rows", *const columns = "columns";
  require("A", "matrices", A.batches, "C", "matrices", C.batches, "as many");
  require("B", "matrices", B.batches, "C", "matrices", C.batches, "as many");
  require("A", o.transpose_a ? columns : rows, o.transpose_a ? A.columns : A.rows, "C", rows, C.rows,
          "op(A) (M, K) and C (M, N) with the same M");
  require("B", o.transpose_b ? rows : columns, o.transpose_b ? B.rows : B.columns, "C", columns, C.columns,
          "op(B) (K, N) and C (M, N) with the same N");
  require("B", o.transpose_b ? columns : rows, o.transpose_b ? B.columns : B.rows, "A", o.transpose_a ? rows : columns,
          o.transpose_a ? A.rows : A.columns, "op(A) (M, K) and op(B) (K, N) with the same K");
}

template <class Scalar>
void multiply_batch(Context& context, const char* function, const backend::GemmLabels& labels, const GemmOptions& o,
                    const MatrixBatch<const Scalar>& A, const MatrixBatch<const Scalar>& B,
                    const MatrixBatch<Scalar>& C) {
  check_operands(function, o, A, B, C);
  const index_t M = C.rows, N = C.columns, K = o.transpose_a ? A.rows : A.columns;
  using Sum = accumulate_t<Scalar>;
  const auto into = [&](const MatrixBatch<Scalar>& to) {
    return [&, to](Backend by) {
      if constexpr (std::is_same_v<Scalar, float>)
        if (by == Backend::vendor) return context.vendor().gemm(context, o, A, B, to), true;
      for (index_t batch = 0; batch < to.batches; ++batch)
        backend::portable_gemm<Scalar>(context, labels, M, N, K, operand(A, o.transpose_a, batch),
                                       operand(B, o.transpose_b, batch), {.alpha = Sum(o.alpha), .beta = Sum(o.beta)},
                                       to.data + batch * to.batch_stride, to.row_stride);
      return true;
    };
  };
  // C may be read: a trial has its own, dense one.
  Vector<Scalar> trial_C;
  const auto make_trial = [&] {
    static const std::string label = "partita::kernels::gemm::trial";
    trial_C = Vector<Scalar>(Kokkos::view_alloc(context.exec(), label), std::size_t(C.batches * M * N));
    return into({trial_C.data(), C.batches, M, N, N, C.batches == 1 ? C.batch_stride : M * N});
  };
  const CallShape shape{Call::gemm, {M, N, K, C.batches, index_t(o.transpose_a), index_t(o.transpose_b)}};
  backend::run_chosen<Scalar>(context, shape, C.batches > 0 && M > 0 && N > 0 && K > 0, into(C), make_trial);
}

}  // namespace

template <class Scalar>
void gemm(Context& context, const GemmOptions& options, std::type_identity_t<ConstMatrix<Scalar>> A,
          std::type_identity_t<ConstMatrix<Scalar>> B, Matrix<Scalar> C) {
  static const backend::GemmLabels labels("partita::kernels::gemm");
  multiply_batch<Scalar>(context, "gemm", labels, options, batch_of_one(A), batch_of_one(B), batch_of_one(C));
}

template <class Scalar>
void gemm_batched(Context& context, const GemmOptions& options, std::type_identity_t<MatrixBatch<const Scalar>> A,
                  std::type_identity_t<MatrixBatch<const Scalar>> B, MatrixBatch<Scalar> C) {
  static const backend::GemmLabels labels("partita::kernels::gemm_batched");
  multiply_batch<Scalar>(context, "gemm_batched", labels, options, A, B, C);
}

#define PARTITA_GEMM(S)                                                                                   \
  template void gemm<S>(Context&, const GemmOptions&, ConstMatrix<S>, ConstMatrix<S>, Matrix<S>);         \
  template void gemm_batched<S>(Context&, const GemmOptions&, MatrixBatch<const S>, MatrixBatch<const S>, \
                                MatrixBatch<S>)
PARTITA_GEMM(float);
PARTITA_GEMM(double);
PARTITA_GEMM(bfloat16);
PARTITA_GEMM(float16);
#undef PARTITA_GEMM

}  // namespace partita::kernels
