// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/store.hpp>

namespace partita::kernels::backend {

/// Convolutions by a vendor's library. CMake picks the one implementation of a build: onednn_conv, cudnn_conv or
/// no_conv.
///
/// Operands are checked, not empty and contiguous. Descriptors and primitives are made at the first call with a shape
/// and kept; a later call only looks them up. Scratch comes from the context. Everything is ordered on its instance. A
/// call returns false, having done nothing, where the library has no algorithm for the problem.
class ConvVendor {
 public:
  virtual ~ConvVendor() = default;
  /// b may be empty.
  virtual bool forward(Context&, const Conv2dShape&, ConstMatrix<float> x, ConstMatrix<float> W, ConstVector<float> b,
                       Matrix<float> y) = 0;
  virtual bool backward_input(Context&, const Conv2dShape&, ConstMatrix<float> dy, ConstMatrix<float> W,
                              Matrix<float> dx) = 0;
  /// dW alone.
  virtual bool backward_weights(Context&, const Conv2dShape&, Store, ConstMatrix<float> x, ConstMatrix<float> dy,
                                Matrix<float> dW) = 0;
};

/// Null where this build has none for Exec.
std::unique_ptr<ConvVendor> make_conv_vendor(const Exec& exec);

/// Empty where this build has none: "oneDNN 2.6.3", "cuDNN 9.13.0".
std::string conv_vendor_name();

}  // namespace partita::kernels::backend
