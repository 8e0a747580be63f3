// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/actions.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

/// Where a stage's input comes from and its output goes, piece by piece; the first stage of the model reads the batch,
/// the last one ends in the loss. `placed` is the stage's own call for that piece. A pass calls, for every action,
///
///     before   make_room (forward)   input   output_gradient, input_gradient_buffer (backward, backward-input)
///              (the units, progress after each)   output or input_gradient   after
///
/// Stages that follow each other on one rank need no more than this: the neighbour's slot is read and written where it
/// lies.
template <class Scalar>
class Links {
 public:
  explicit Links(const Model<Scalar>& model) : model_(model) {}
  virtual ~Links() = default;

  /// Micro-batches whose gradient of a stage's output is here at once, where the actions alone ask for peak.gradients.
  virtual index_t gradients(int /*stage*/, const Peak& peak) const { return peak.gradients; }

  /// A list of actions begins.
  virtual void begin() {}
  virtual void before(const Action&, const Exec&) {}
  virtual void after(const Action&, const Exec&) {}
  /// After every unit of a pass. Never blocks.
  virtual void progress() {}

  /// The stage is about to overwrite the output in its slot: what left it must have gone.
  virtual void make_room(int /*stage*/, const Call<Scalar>& /*placed*/) {}
  /// x (B, inputs) of a stage, there for its kernels; stays until the stage's backward of that piece is done.
  virtual ConstMatrix<Scalar> input(int stage, const Call<Scalar>& placed, index_t B) {
    return model_.stage(stage - 1).output(of_neighbour(stage, placed), B);
  }
  /// The stage has put its output y into its slot.
  virtual void output(int /*stage*/, const Call<Scalar>& /*placed*/, ConstMatrix<Scalar> /*y*/) {}
  /// Sees to it that the gradient of the stage's output is in its slot: dy.
  virtual void output_gradient(int /*stage*/, const Call<Scalar>& /*placed*/, Matrix<Scalar> /*dy*/) {}
  /// Where the stage puts dx (B, inputs), and that it is there.
  virtual Matrix<Scalar> input_gradient_buffer(int stage, const Call<Scalar>& placed, index_t B) {
    return model_.stage(stage - 1).output_gradient(of_neighbour(stage, placed), B);
  }
  virtual void input_gradient(int /*stage*/, const Call<Scalar>& /*placed*/, ConstMatrix<Scalar> /*dx*/) {}

 protected:
  const Model<Scalar>& model() const { return model_; }

 private:
  Call<Scalar> of_neighbour(int stage, const Call<Scalar>& placed) const {
    return model_.stage(stage - 1).place(placed, placed.at.micro_batch, placed.piece_of_micro_batch);
  }

  const Model<Scalar>& model_;
};

}  // namespace partita::nn
