// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <bit>
#include <map>

#include <cublasLt.h>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/vendor.hpp>

// cuBLASLt sees our row-major matrices as their column-major transposes: C (M, N) = A B is computed as C^T = B^T A^T,
// so `left` below is what belongs to C's columns. CUBLAS_COMPUTE_32F is fp32 throughout; TF32 is Options::tf32.

namespace partita::kernels::backend {
namespace {

constexpr std::size_t matmul_workspace_bytes = std::size_t(32) << 20;  // what NVIDIA advises for Hopper

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

/// Column-major operands: stored shape, leading dimension and elements from one to the next.
struct Stored {
  index_t rows, columns, leading, batch_stride = 0;
  auto operator<=>(const Stored&) const = default;
};

struct MatmulProblem {
  Stored left, right, result;
  bool left_transposed, right_transposed;
  cublasLtEpilogue_t epilogue;
  int batches;
  std::array<std::uint32_t, 3> alignment;
  auto operator<=>(const MatmulProblem&) const = default;
};

std::uint32_t alignment_of(const void* pointer) {
  return 1u << std::min(std::countr_zero(reinterpret_cast<std::uintptr_t>(pointer)), 8);
}

std::uint32_t alignment_of(const MatrixBatch<const float>& a) {
  return std::min(alignment_of(a.data), alignment_of(reinterpret_cast<const void*>(a.batch_stride * sizeof(float))));
}

Stored stored(const ConstMatrix<float>& a) {
  return {index_t(a.extent(1)), index_t(a.extent(0)), index_t(a.stride(0))};
}

template <class Scalar>
Stored stored(const MatrixBatch<Scalar>& a) {
  return {a.columns, a.rows, a.row_stride, a.batch_stride};
}

/// Layouts, description and chosen algorithm of one problem.
class Product {
 public:
  Product(cublasLtHandle_t handle, const MatmulProblem& problem, bool tf32) {
    const cublasComputeType_t type = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&operation_, type, CUDA_R_32F), "description");
    const cublasOperation_t left = problem.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t right = problem.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, left);
    set(CUBLASLT_MATMUL_DESC_TRANSB, right);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, problem.epilogue);
    layout(left_, problem.left, problem.batches);
    layout(right_, problem.right, problem.batches);
    layout(result_, problem.result, problem.batches);

    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), "preference");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, matmul_workspace_bytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, problem.alignment[0]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, problem.alignment[1]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, problem.alignment[2]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, problem.alignment[2]);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, operation_, left_, right_, result_, result_,
                                                                 preference, 1, &found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    available_ = status == CUBLAS_STATUS_SUCCESS && count > 0;
    if (available_) algorithm_ = found.algo;
  }
  ~Product() {
    cublasLtMatrixLayoutDestroy(result_);
    cublasLtMatrixLayoutDestroy(right_);
    cublasLtMatrixLayoutDestroy(left_);
    cublasLtMatmulDescDestroy(operation_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// Whether the library offers this epilogue for this problem.
  bool available() const { return available_; }

  /// `bias` is read or written by the epilogue, or null.
  void run(Context& context, cublasLtHandle_t handle, const float* left, const float* right, float* result,
           const float* bias, float alpha = 1, float beta = 0) {
    if (bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    check(cublasLtMatmul(handle, operation_, &alpha, left, left_, right, right_, &beta, result, result_, result,
                         result_, &algorithm_, context.scratch(matmul_workspace_bytes), matmul_workspace_bytes,
                         context.exec().cuda_stream()),
          "matmul");
  }

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value), "attribute");
  }
  static void layout(cublasLtMatrixLayout_t& to, const Stored& from, int batches) {
    check(cublasLtMatrixLayoutCreate(&to, CUDA_R_32F, std::uint64_t(from.rows), std::uint64_t(from.columns),
                                     from.leading),
          "layout");
    if (batches == 1) return;
    check(cublasLtMatrixLayoutSetAttribute(to, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof batches), "layout");
    check(cublasLtMatrixLayoutSetAttribute(to, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &from.batch_stride,
                                           sizeof from.batch_stride),
          "layout");
  }

  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t left_ = nullptr, right_ = nullptr, result_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  bool available_ = false;
};

class CublasLt final : public Vendor {
 public:
  CublasLt() { check(cublasLtCreate(&handle_), "handle"); }
  ~CublasLt() override {
    products_.clear();
    cublasLtDestroy(handle_);
  }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  /// Activations are ours: the library's relu is max(z, 0), which need not keep NaN.
  void linear_forward(Context& context, Activation activation, ConstMatrix<float> x, ConstMatrix<float> W,
                      const float* bias, Matrix<float> y) override {
    const auto fused = bias == nullptr ? CUBLASLT_EPILOGUE_DEFAULT : CUBLASLT_EPILOGUE_BIAS;
    if (multiply(context, W, true, x, false, y, fused, bias))
      return activation_forward<float>(context.exec(), activation, y);
    plain(context, W, true, x, false, y);
    apply_epilogue<float>(context.exec(), {bias, activation}, y);
  }

  void linear_backward_input(Context& context, ConstMatrix<float> dy, ConstMatrix<float> W, Matrix<float> dx) override {
    plain(context, W, false, dy, false, dx);
  }

  void linear_backward_weights(Context& context, Store store, ConstMatrix<float> x, ConstMatrix<float> dy,
                               Matrix<float> dW, Vector<float> db) override {
    const bool adds = store == Store::accumulate, bias = db.extent(0) > 0;  // the epilogue cannot add to db
    if (bias && !adds && multiply(context, x, false, dy, true, dW, CUBLASLT_EPILOGUE_BGRADB, db.data())) return;
    plain(context, x, false, dy, true, dW, adds ? 1.0f : 0.0f);
    if (bias) column_sum<float>(context, {}, store, dy, db);
  }

  void gemm(Context& context, const GemmOptions& o, const MatrixBatch<const float>& A,
            const MatrixBatch<const float>& B, const MatrixBatch<float>& C) override {
    Product& found =
        product(context, {stored(B),
                          stored(A),
                          stored(C),
                          o.transpose_b,
                          o.transpose_a,
                          CUBLASLT_EPILOGUE_DEFAULT,
                          int(C.batches),
                          {alignment_of(B), alignment_of(A), alignment_of({C.data, 1, 0, 0, 0, C.batch_stride})}});
    if (!found.available()) throw Error("cuBLASLt: no algorithm for a plain fp32 product");
    found.run(context, handle_, B.data, A.data, C.data, nullptr, float(o.alpha), float(o.beta));
  }

 private:
  Product& product(const Context& context, const MatmulProblem& problem) {
    const auto at = products_.find(problem);
    return (at == products_.end() ? products_.try_emplace(problem, handle_, problem, context.tf32()).first : at)
        ->second;
  }

  bool multiply(Context& context, const ConstMatrix<float>& left, bool left_transposed, const ConstMatrix<float>& right,
                bool right_transposed, const Matrix<float>& result, cublasLtEpilogue_t epilogue, const float* bias,
                float beta = 0) {
    const MatmulProblem problem{stored(left),
                                stored(right),
                                stored(result),
                                left_transposed,
                                right_transposed,
                                epilogue,
                                1,
                                {alignment_of(left.data()), alignment_of(right.data()), alignment_of(result.data())}};
    Product& found = product(context, problem);
    if (found.available()) found.run(context, handle_, left.data(), right.data(), result.data(), bias, 1, beta);
    return found.available();
  }

  void plain(Context& context, const ConstMatrix<float>& left, bool left_transposed, const ConstMatrix<float>& right,
             bool right_transposed, const Matrix<float>& result, float beta = 0) {
    if (!multiply(context, left, left_transposed, right, right_transposed, result, CUBLASLT_EPILOGUE_DEFAULT, nullptr,
                  beta))
      throw Error("cuBLASLt: no algorithm for a plain fp32 product");
  }

  cublasLtHandle_t handle_ = nullptr;
  std::map<MatmulProblem, Product> products_;
};

}  // namespace

std::unique_ptr<Vendor> make_vendor(const Exec&) { return std::make_unique<CublasLt>(); }

std::string vendor_name() {
  const std::size_t version = cublasLtGetVersion();
  return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace partita::kernels::backend
