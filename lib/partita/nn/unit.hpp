// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>
#include <partita/nn/memory.hpp>
#include <span>
#include <string>

namespace partita::nn {

/// Running statistics and the like: in the type of sums.
template <class Scalar>
using State = accumulate_t<Scalar>;

/// What a pass works with, beside rows and slots: who computes, and which version of the weights is read.
template <class Scalar>
struct Call {
  kernels::Context& context;
  ConstVector<Scalar> parameters;
  Vector<State<Scalar>> state;            ///< running statistics, updated by a forward pass in training
  ConstMatrix<std::int32_t> tokens = {};  ///< (B, T): the input of a model that begins with an embedding
  bool training = true;                   ///< batch statistics and dropout; else running statistics and no dropout
  std::uint64_t seed = 1;                 ///< of dropout, which depends on (seed, unit, step, global row, column) alone
  std::uint64_t step = 0;
  index_t first_row = 0;  ///< global index of this call's first row
};

/// One differentiable step of a model, y = f(x; w), on B rows. It holds ranges of the flat buffers, never the buffers:
/// each call receives those to use, so sharded, stashed or per-worker weights are only other pointers.
///
/// What both backward passes need beside x and y is left in `saved`, a block of saved_bytes(B) that belongs to the
/// slot. The two halves are separate, backward_input first; any time may pass between them.
///
/// Shapes   x, dx (B, inputs())   y, dy (B, outputs()), rows adjacent; B may differ from call to call.
/// Runs     enqueued on call.context.exec(); no fence, no allocation.
template <class Scalar>
class Unit {
 public:
  virtual ~Unit() = default;

  virtual std::string name() const = 0;
  virtual index_t inputs() const = 0;
  virtual index_t outputs() const = 0;
  /// Ranges of the flat gradient buffer that are final after this unit's backward_weights.
  virtual std::span<const Range> ranges() const { return {}; }
  /// Useful floating-point operations of the given passes for B rows (cost.hpp).
  virtual double forward_flop(index_t B) const = 0;
  virtual double backward_input_flop(index_t B) const = 0;
  virtual double backward_weights_flop(index_t /*B*/) const { return 0; }
  virtual std::size_t saved_bytes(index_t /*B*/) const { return 0; }
  /// Whether backward_input leaves dy as it was and reads no y: what a residual asks of the last unit of a branch.
  virtual bool may_end_branch() const { return true; }

  /// y = f(x; parameters), overwritten.
  virtual void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const = 0;

  /// dx = dloss/dx from dy = dloss/dy, overwritten; an empty dx is left out. May turn dy into what backward_weights
  /// reads.
  virtual void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                              Matrix<Scalar> dy, Matrix<Scalar> dx) const = 0;

  /// gradients(ranges()) = dloss/dw, overwritten. After backward_input of the same rows.
  virtual void backward_weights(const Call<Scalar>& /*call*/, ConstMatrix<Scalar> /*x*/, std::byte* /*saved*/,
                                ConstMatrix<Scalar> /*dy*/, Vector<Scalar> /*gradients*/) const {}
};

/// The rows of x (B, R columns) as a matrix of B R rows: tokens or pixels of all samples.
template <class Scalar>
Matrix<Scalar> split_rows(Matrix<Scalar> x, index_t columns) {
  return {x.data(), columns == 0 ? 0 : x.size() / static_cast<std::size_t>(columns), static_cast<std::size_t>(columns)};
}

}  // namespace partita::nn
