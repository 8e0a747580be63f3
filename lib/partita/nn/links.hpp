// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/nn/stage.hpp>

namespace partita::nn {

/// Where a stage's input comes from and its output goes, piece by piece; the first stage of the model reads the batch,
/// the last one ends in the loss. `placed` is the stage's own call for that piece.
template <class Scalar>
class Links {
 public:
  virtual ~Links() = default;
  /// x (B, inputs) of a stage, there for its kernels; stays until the stage's backward of that piece is done.
  virtual ConstMatrix<Scalar> input(int stage, const Call<Scalar>& placed, index_t B) = 0;
  /// The stage has put its output y into its slot.
  virtual void output(int /*stage*/, const Call<Scalar>& /*placed*/, ConstMatrix<Scalar> /*y*/) {}
  /// Sees to it that the gradient of the stage's output is in its slot: dy.
  virtual void output_gradient(int /*stage*/, const Call<Scalar>& /*placed*/, Matrix<Scalar> /*dy*/) {}
  /// Where the stage puts dx (B, inputs), and that it is there.
  virtual Matrix<Scalar> input_gradient_buffer(int stage, const Call<Scalar>& placed, index_t B) = 0;
  virtual void input_gradient(int /*stage*/, const Call<Scalar>& /*placed*/, ConstMatrix<Scalar> /*dx*/) {}
};

/// Stages that follow each other on one rank: the neighbour's slot is read and written where it lies.
template <class Scalar>
class LocalLinks final : public Links<Scalar> {
 public:
  explicit LocalLinks(std::span<const Stage<Scalar>> stages) : stages_(stages) {}

  ConstMatrix<Scalar> input(int stage, const Call<Scalar>& placed, index_t B) override {
    return before(stage).output(of_neighbour(stage, placed), B);
  }
  Matrix<Scalar> input_gradient_buffer(int stage, const Call<Scalar>& placed, index_t B) override {
    return before(stage).output_gradient(of_neighbour(stage, placed), B);
  }

 private:
  const Stage<Scalar>& before(int stage) const { return stages_[static_cast<std::size_t>(stage - 1)]; }
  Call<Scalar> of_neighbour(int stage, const Call<Scalar>& placed) const {
    return before(stage).place(placed, placed.at.micro_batch, placed.piece_of_micro_batch);
  }

  std::span<const Stage<Scalar>> stages_;
};

}  // namespace partita::nn
