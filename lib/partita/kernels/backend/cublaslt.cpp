// SPDX-License-Identifier: BSD-3-Clause
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <partita/core/error.hpp>
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/vendor.hpp>

// cuBLASLt sees our row-major matrices as their column-major transposes: C (M, N) = A B is computed as C^T = B^T A^T,
// so `left` below is what belongs to C's columns. fp32 throughout: CUBLAS_COMPUTE_32F leaves TF32 off.

namespace partita::kernels::backend {
namespace {

constexpr std::size_t workspace_bytes = std::size_t(32) << 20;  // what NVIDIA advises for Hopper

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

/// Column-major operand: stored shape and leading dimension.
struct Stored {
  index_t rows, columns, leading;
  auto operator<=>(const Stored&) const = default;
};

struct Problem {
  Stored left, right, result;
  bool left_transposed, right_transposed;
  cublasLtEpilogue_t epilogue;
  std::array<std::uint32_t, 3> alignment;
  auto operator<=>(const Problem&) const = default;
};

std::uint32_t alignment_of(const void* pointer) {
  return 1u << std::min(std::countr_zero(reinterpret_cast<std::uintptr_t>(pointer)), 8);
}

Stored stored(const ConstMatrix<float>& a) {
  return {index_t(a.extent(1)), index_t(a.extent(0)), index_t(a.stride(0))};
}

/// Layouts, description and chosen algorithm of one problem.
class Product {
 public:
  Product(cublasLtHandle_t handle, const Problem& problem) {
    check(cublasLtMatmulDescCreate(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
    const cublasOperation_t left = problem.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t right = problem.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, left);
    set(CUBLASLT_MATMUL_DESC_TRANSB, right);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, problem.epilogue);
    layout(left_, problem.left);
    layout(right_, problem.right);
    layout(result_, problem.result);

    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), "preference");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
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
           const float* bias) {
    if (bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const float one = 1, zero = 0;
    check(cublasLtMatmul(handle, operation_, &one, left, left_, right, right_, &zero, result, result_, result, result_,
                         &algorithm_, context.scratch(workspace_bytes), workspace_bytes, context.exec().cuda_stream()),
          "matmul");
  }

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value), "attribute");
  }
  static void layout(cublasLtMatrixLayout_t& to, const Stored& from) {
    check(cublasLtMatrixLayoutCreate(&to, CUDA_R_32F, std::uint64_t(from.rows), std::uint64_t(from.columns),
                                     from.leading),
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

  void linear_forward(Context& context, Activation activation, ConstMatrix<float> x, ConstMatrix<float> W,
                      ConstVector<float> b, Matrix<float> y) override {
    const bool relu = activation == Activation::relu;
    const auto fused = relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    if (multiply(context, W, true, x, false, y, fused, b.data())) {
      if (!relu) activation_forward<float>(context.exec(), activation, y);
      return;
    }
    plain(context, W, true, x, false, y);
    apply_epilogue<float>(context.exec(), {b.data(), activation}, y);
  }

  void linear_backward_input(Context& context, ConstMatrix<float> dy, ConstMatrix<float> W, Matrix<float> dx) override {
    plain(context, W, false, dy, false, dx);
  }

  void linear_backward_weights(Context& context, ConstMatrix<float> x, ConstMatrix<float> dy, Matrix<float> dW,
                               Vector<float> db) override {
    if (multiply(context, x, false, dy, true, dW, CUBLASLT_EPILOGUE_BGRADB, db.data())) return;
    plain(context, x, false, dy, true, dW);
    column_sum<float>(context.exec(), dy, db);
  }

 private:
  bool multiply(Context& context, const ConstMatrix<float>& left, bool left_transposed, const ConstMatrix<float>& right,
                bool right_transposed, const Matrix<float>& result, cublasLtEpilogue_t epilogue, const float* bias) {
    const Problem problem{stored(left),
                          stored(right),
                          stored(result),
                          left_transposed,
                          right_transposed,
                          epilogue,
                          {alignment_of(left.data()), alignment_of(right.data()), alignment_of(result.data())}};
    auto at = products_.find(problem);
    if (at == products_.end()) at = products_.try_emplace(problem, handle_, problem).first;
    if (at->second.available()) at->second.run(context, handle_, left.data(), right.data(), result.data(), bias);
    return at->second.available();
  }

  void plain(Context& context, const ConstMatrix<float>& left, bool left_transposed, const ConstMatrix<float>& right,
             bool right_transposed, const Matrix<float>& result) {
    if (!multiply(context, left, left_transposed, right, right_transposed, result, CUBLASLT_EPILOGUE_DEFAULT, nullptr))
      throw Error("cuBLASLt: no algorithm for a plain fp32 product");
  }

  cublasLtHandle_t handle_ = nullptr;
  std::map<Problem, Product> products_;
};

}  // namespace

std::unique_ptr<Vendor> make_vendor(const Exec&) { return std::make_unique<CublasLt>(); }

std::string vendor_name() {
  const std::size_t version = cublasLtGetVersion();
  return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace partita::kernels::backend
