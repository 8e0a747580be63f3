// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>
#include <span>
#include <string>

namespace partita::nn {

/// One differentiable step of a model, y = f(x; w), on B rows. It holds ranges of the flat buffers, never the buffers:
/// each call receives those to use, so sharded, stashed or per-worker weights are only other pointers.
///
/// Shapes   x, dx (B, inputs())   y, dy (B, outputs()); B may differ from call to call.
/// Runs     enqueued on context.exec(); no fence, no allocation.
template <class Scalar>
class Unit {
 public:
  virtual ~Unit() = default;

  virtual std::string name() const = 0;
  virtual index_t inputs() const = 0;
  virtual index_t outputs() const = 0;
  /// The unit's ranges of the flat parameter and gradient buffers.
  virtual std::span<const Range> ranges() const = 0;
  /// Useful floating-point operations of the given passes for B rows (cost.hpp).
  virtual double forward_flop(index_t B) const = 0;
  virtual double backward_input_flop(index_t B) const = 0;
  virtual double backward_weights_flop(index_t B) const = 0;

  /// y = f(x; parameters), overwritten.
  virtual void forward(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> x,
                       Matrix<Scalar> y) const = 0;

  /// dx = dloss/dx from dy = dloss/dy, overwritten; an empty dx is left out. Turns dy into what backward_weights reads.
  virtual void backward_input(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> y,
                              Matrix<Scalar> dy, Matrix<Scalar> dx) const = 0;

  /// gradients(ranges()) = dloss/dw, overwritten. After backward_input of the same rows.
  virtual void backward_weights(kernels::Context& context, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                                Vector<Scalar> gradients) const = 0;
};

}  // namespace partita::nn
