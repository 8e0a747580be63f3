// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>

#include <partita/nn/chain.hpp>

namespace partita::nn {

/// What a stage must have room for.
struct StagePlan {
  index_t rows = 0;     ///< of the largest piece
  index_t pieces = 1;   ///< of the largest micro-batch
  index_t slots = 1;    ///< micro-batches in flight
  index_t pending = 0;  ///< micro-batches whose backward-weights may be behind; 0: backward's halves run together
  /// Micro-batches whose output has its gradient here: from where that is made or begins to arrive to the end of this
  /// stage's backward.
  index_t gradients = 1;

  friend bool operator==(const StagePlan&, const StagePlan&) = default;
};

/// Consecutive units of a model with the memory of the micro-batches in flight. A slot holds, for each piece of a
/// micro-batch, the outputs of all units and what they save; a piece's rows go through the units in one call.
template <class Scalar>
class Stage {
 public:
  /// With ends_in_loss nobody reads the output after the loss: its gradient may take its place.
  Stage(Chain<Scalar> chain, int number, bool ends_in_loss);

  const Chain<Scalar>& chain() const { return chain_; }
  int number() const { return number_; }
  index_t inputs() const { return chain_.inputs(); }
  index_t outputs() const { return chain_.outputs(); }

  /// Memory for a plan, beside what there is for others; the first one is laid out at once.
  /// Throws   UsageError for pending gradients and a unit that recomputes: what it computes again would have to stay.
  void reserve(const StagePlan& plan);
  /// From here on calls are placed as a plan that was reserved says; what lies in the memory is lost. Not for a timed
  /// step.
  void lay_out(const StagePlan& plan);
  /// In place of all that was planned before.
  void plan(const StagePlan& plan);
  std::size_t allocated() const;
  /// What reserve() allocates where there is nothing yet: slots x pieces x (saved values + output), pending gradients,
  /// gradients x pieces of the output unless the loss puts them over it, and one workspace. A pure function.
  std::size_t bytes(const StagePlan& plan) const { return bytes({plan}); }
  /// Of several plans, which share it.
  std::size_t bytes(std::initializer_list<StagePlan> plans) const;
  const StagePlan& planned() const { return plan_; }

  /// A call that works in this stage's memory for one piece of a micro-batch.
  /// Throws   Error unless a plan is laid out.
  Call<Scalar> place(Call<Scalar> call, index_t micro_batch, index_t piece) const;

  /// y (B, outputs) for x (B, inputs) or call.tokens, call being a placed one: valid until the slot is used again.
  /// Throws   ShapeError when x has other columns, padded rows, or more rows than were planned.
  ConstMatrix<Scalar> forward(const Call<Scalar>& placed, ConstMatrix<Scalar> x) const;
  /// Output of the last forward, and where its gradient (B, outputs) is put before backward; the same memory where
  /// nobody reads the output again.
  Matrix<Scalar> output(const Call<Scalar>& placed, index_t B) const;
  Matrix<Scalar> output_gradient(const Call<Scalar>& placed, index_t B) const;
  /// The same without a call.
  Matrix<Scalar> output_gradient(index_t micro_batch, index_t piece, index_t B) const;
  bool gradient_in_place() const { return gradient_in_place_; }
  /// As Unit::backward, from output_gradient.
  void backward(Half half, const Call<Scalar>& placed, ConstMatrix<Scalar> x, Matrix<Scalar> dx) const;

 private:
  struct Layout {
    std::size_t piece, pending_piece, gradient_piece, workspace;  // bytes
    std::size_t output;                                           // where in a piece
  };
  Layout layout(index_t rows) const;
  struct Bytes {
    std::size_t slots, pending, gradients, workspace;
  };
  Bytes bytes_by_use(const StagePlan& plan) const;
  index_t rows(const Call<Scalar>& call, ConstMatrix<Scalar> x) const;
  std::byte* slot(index_t micro_batch, index_t piece) const;

  Chain<Scalar> chain_;
  int number_;
  bool gradient_in_place_;  // of the output
  StagePlan plan_;
  Layout layout_{};
  Kokkos::View<std::byte*, Memory> slots_, pending_, gradients_, workspace_;
};

}  // namespace partita::nn
