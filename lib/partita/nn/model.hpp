// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <partita/nn/observer.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>
#include <vector>

namespace partita::nn {

/// A chain of units over one flat parameter and one flat gradient buffer, with activations kept in slots.
///
/// A slot holds the outputs of every unit, and the gradients of these outputs, for one batch of up to `rows` rows;
/// several slots let micro-batches be in flight. plan() allocates everything; forward and backward allocate nothing.
template <class Scalar>
class Model {
 public:
  Model(ParameterTable table, std::vector<std::unique_ptr<Unit<Scalar>>> units);

  const ParameterTable& table() const { return table_; }
  Vector<Scalar> parameters() const { return parameters_; }
  Vector<Scalar> gradients() const { return gradients_; }
  index_t inputs() const { return units_.front()->inputs(); }
  index_t outputs() const { return units_.back()->outputs(); }

  /// Allocates `slots` slots of `rows` rows, in place of those planned before.
  void plan(index_t rows, index_t slots = 1);

  /// Output of the last unit for x (B, inputs), B <= planned rows: (B, outputs), valid until the slot is used again.
  ConstMatrix<Scalar> forward(kernels::Context& context, ConstVector<Scalar> parameters, index_t slot,
                              ConstMatrix<Scalar> x, Observer& observer) const;

  /// Where the caller puts dloss/d(output) (B, outputs) between forward and backward.
  Matrix<Scalar> output_gradient(index_t slot, index_t B) const;

  /// gradients = dloss/d(parameters), overwritten, from output_gradient(slot) and the activations of the last forward.
  void backward(kernels::Context& context, ConstVector<Scalar> parameters, index_t slot, ConstMatrix<Scalar> x,
                Vector<Scalar> gradients, Observer& observer) const;

  /// Floating-point operations of one pass over B rows (forward; backward of both kinds, without the input's gradient).
  double forward_flop(index_t B) const;
  double backward_flop(index_t B) const;

 private:
  struct Slot {
    std::vector<Matrix<Scalar>> y;   // output of each unit
    std::vector<Matrix<Scalar>> dy;  // gradient of each output
  };

  ParameterTable table_;
  std::vector<std::unique_ptr<Unit<Scalar>>> units_;
  Vector<Scalar> parameters_;
  Vector<Scalar> gradients_;
  std::vector<Slot> slots_;
};

}  // namespace partita::nn
