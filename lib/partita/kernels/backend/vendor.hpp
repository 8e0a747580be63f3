// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include <partita/core/types.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/store.hpp>

namespace partita::kernels::backend {

/// What a vendor's library computes. CMake picks the one implementation of a build: onednn, blas, cublaslt or none.
///
/// Operands are checked and not empty. Handles and primitives are made at the first call with a shape and kept; a later
/// call only looks them up. Scratch comes from the context. Everything is ordered on the context's instance.
class Vendor {
 public:
  virtual ~Vendor() = default;
  /// `bias` may be null.
  virtual void linear_forward(Context&, Activation, ConstMatrix<float> x, ConstMatrix<float> W, const float* bias,
                              Matrix<float> y) = 0;
  virtual void linear_backward_input(Context&, ConstMatrix<float> dy, ConstMatrix<float> W, Matrix<float> dx) = 0;
  /// `db` may be empty.
  virtual void linear_backward_weights(Context&, Store, ConstMatrix<float> x, ConstMatrix<float> dy, Matrix<float> dW,
                                       Vector<float> db) = 0;
  virtual void gemm(Context&, const GemmOptions&, const MatrixBatch<const float>& A, const MatrixBatch<const float>& B,
                    const MatrixBatch<float>& C) = 0;
};

/// Null where this build has no vendor library for Exec.
std::unique_ptr<Vendor> make_vendor(const Exec& exec);

/// Empty where this build has none.
std::string vendor_name();

}  // namespace partita::kernels::backend
