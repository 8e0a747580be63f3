// SPDX-License-Identifier: BSD-3-Clause
#include <string_view>

#include <cblas.h>

#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/backend/vendor.hpp>

// Any BLAS with the C interface, where oneDNN is absent: GEMM here, bias and activation in one pass of our own.

// OpenBLAS has threads of its own and does not ask OpenMP how many. Weak: absent from other libraries.
extern "C" {
void openblas_set_num_threads(int) __attribute__((weak));
char* openblas_get_config() __attribute__((weak));
}

namespace partita::kernels::backend {
namespace {

int leading(const ConstMatrix<float>& a) { return int(a.stride(0)); }

class Blas final : public Vendor {
 public:
  void linear_forward(Context& context, Activation activation, ConstMatrix<float> x, ConstMatrix<float> W,
                      const float* bias, Matrix<float> y) override {
    use_threads_of(context);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, int(x.extent(0)), int(W.extent(0)), int(x.extent(1)), 1.0f,
                x.data(), leading(x), W.data(), leading(W), 0.0f, y.data(), leading(y));
    if (bias != nullptr || activation != Activation::identity)
      apply_epilogue<float>(context.exec(), {bias, activation}, y);
  }

  void linear_backward_input(Context& context, ConstMatrix<float> dy, ConstMatrix<float> W, Matrix<float> dx) override {
    use_threads_of(context);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(dy.extent(0)), int(W.extent(1)), int(W.extent(0)), 1.0f,
                dy.data(), leading(dy), W.data(), leading(W), 0.0f, dx.data(), leading(dx));
  }

  void linear_backward_weights(Context& context, Store store, ConstMatrix<float> x, ConstMatrix<float> dy,
                               Matrix<float> dW, Vector<float> db) override {
    use_threads_of(context);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(dy.extent(1)), int(x.extent(1)), int(x.extent(0)), 1.0f,
                dy.data(), leading(dy), x.data(), leading(x), store == Store::accumulate ? 1.0f : 0.0f, dW.data(),
                leading(dW));
    if (db.extent(0) > 0) column_sum<float>(context, {}, store, dy, db);
  }

  void gemm(Context& context, const GemmOptions& o, const MatrixBatch<const float>& A,
            const MatrixBatch<const float>& B, const MatrixBatch<float>& C) override {
    use_threads_of(context);
    for (index_t i = 0; i < C.batches; ++i)
      cblas_sgemm(CblasRowMajor, o.transpose_a ? CblasTrans : CblasNoTrans, o.transpose_b ? CblasTrans : CblasNoTrans,
                  int(C.rows), int(C.columns), int(o.transpose_a ? A.rows : A.columns), float(o.alpha),
                  A.data + i * A.batch_stride, int(A.row_stride), B.data + i * B.batch_stride, int(B.row_stride),
                  float(o.beta), C.data + i * C.batch_stride, int(C.row_stride));
  }

 private:
  static void use_threads_of(const Context& context) {
    if (openblas_set_num_threads) openblas_set_num_threads(threads_of(context.exec()));
  }
};

}  // namespace

std::unique_ptr<Vendor> make_vendor(const Exec&) { return std::make_unique<Blas>(); }

std::string vendor_name() {
  if (!openblas_get_config) return "BLAS";
  const std::string_view config = openblas_get_config();  // "OpenBLAS 0.3.21 DYNAMIC_ARCH ..."
  return std::string(config.substr(0, config.find(' ', config.find(' ') + 1)));
}

}  // namespace partita::kernels::backend
