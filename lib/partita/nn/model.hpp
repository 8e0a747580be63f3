// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/chain.hpp>
#include <partita/nn/parameter_table.hpp>
#include <vector>

namespace partita::nn {

/// A chain of units over one flat parameter and one flat gradient buffer, with activations kept in slots.
///
/// A slot holds the outputs of every unit, the gradients of these outputs and what units save, for one batch of up to
/// `rows` rows; several slots let micro-batches be in flight. plan() allocates everything; passes allocate nothing.
template <class Scalar>
class Model {
 public:
  /// Initial values, drawn from the seed alone, are in parameters() and state() from the start.
  Model(Tables tables, Units<Scalar> units, std::uint64_t seed);

  const ParameterTable& table() const { return tables_.parameters; }
  const ParameterTable& state_table() const { return tables_.state; }
  Vector<Scalar> parameters() const { return parameters_; }
  Vector<Scalar> gradients() const { return gradients_; }
  Vector<State<Scalar>> state() const { return state_; }
  index_t inputs() const { return chain_.inputs(); }
  index_t outputs() const { return chain_.outputs(); }

  /// A training call on the model's own weights and state; change what shall differ.
  Call<Scalar> call(kernels::Context& context) const {
    return {.context = context, .parameters = parameters_, .state = state_};
  }
  /// The same without dropout and with running statistics.
  Call<Scalar> inference(kernels::Context& context) const {
    return {.context = context, .parameters = parameters_, .state = state_, .training = false};
  }

  /// Allocates `slots` slots of `rows` rows, in place of those planned before.
  void plan(index_t rows, index_t slots = 1);

  /// Output of the last unit for x (B, inputs) or call.tokens (B, T), B <= planned rows: (B, outputs), valid until the
  /// slot is used again.
  ConstMatrix<Scalar> forward(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Observer& observer) const;

  /// Where the caller puts dloss/d(output) (B, outputs) between forward and backward.
  Matrix<Scalar> output_gradient(index_t slot, index_t B) const;

  /// gradients = dloss/d(parameters), overwritten, from output_gradient(slot) and the activations of the last forward.
  void backward(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Vector<Scalar> gradients,
                Observer& observer) const;

  /// The halves of backward: first dx (B, inputs), left out if empty, and all gradients between units; then, any time
  /// later, the weights'.
  void backward_input(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Matrix<Scalar> dx,
                      Observer& observer) const;
  void backward_weights(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Vector<Scalar> gradients,
                        Observer& observer) const;

  /// Floating-point operations of one pass over B rows (forward; backward of both kinds, without the input's gradient).
  double forward_flop(index_t B) const { return chain_.forward_flop(B); }
  double backward_flop(index_t B) const { return chain_.backward_flop(B, false); }

 private:
  using Ends = typename Chain<Scalar>::Ends;
  struct Slot {
    Matrix<Scalar> y, dy;  // of the last unit
    Kokkos::View<std::byte*, Memory> block;
  };
  const Slot& slot_at(index_t slot) const { return slots_.at(static_cast<std::size_t>(slot)); }
  Ends ends(const Call<Scalar>& call, index_t slot, ConstMatrix<Scalar> x, Matrix<Scalar> dx) const;

  Tables tables_;
  Chain<Scalar> chain_;
  Vector<Scalar> parameters_;
  Vector<Scalar> gradients_;
  Vector<State<Scalar>> state_;
  std::vector<Slot> slots_;
};

}  // namespace partita::nn
