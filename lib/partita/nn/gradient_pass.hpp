// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/actions.hpp>
#include <partita/nn/batch.hpp>
#include <partita/nn/division.hpp>
#include <partita/nn/gradient_sum.hpp>
#include <partita/nn/links.hpp>
#include <partita/nn/loss_head.hpp>
#include <partita/nn/model.hpp>
#include <partita/nn/progress.hpp>

namespace partita::nn {

/// What a pass leaves: a loss term, and in a forward-only pass the number of correct labels, for every piece.
struct PassResult {
  Vector<double> losses;         ///< (pieces): sums over the labels of a piece, overwritten
  Vector<index_t> correct = {};  ///< (pieces) or empty
};

/// Runs a list of actions over a rank's rows of a batch: forward, loss, backward, gradients summed. It knows no
/// replicas and no strategy; Progress hears what is about to be read and what is complete.
template <class Scalar>
class GradientPass {
 public:
  /// Takes memory for the stages that are here as the actions ask for it: passes of one model share it, and where one
  /// asks for another layout than the pass that was made first, run() brings that back at its end. All that is referred
  /// to must outlive the pass. `sum` is null for forward-only actions, `links` where the model is one stage.
  /// Throws   UsageError for actions that cannot run (peak).
  GradientPass(Model<Scalar>& model, Division division, Actions actions, const LossHead<Scalar>& head,
               GradientSum<Sum<Scalar>>* sum, Links<Scalar>* links = nullptr);

  const Division& division() const { return division_; }
  Model<Scalar>& model() const { return model_; }

  /// factor   () in device memory: the loss scale; empty: 1.
  /// Shapes   batch: division().rows rows; x or tokens of the first stage alone, label of the last   ->   result,
  ///          overwritten where the last stage is, else left alone.
  /// Runs     enqueued on call.context.exec(); no allocation; no fence but what links and progress need.
  /// Throws   ShapeError for a batch of other extents.
  void run(const Call<Scalar>& call, const Batch<Scalar>& batch, Progress& progress, const PassResult& result,
           Kokkos::View<const double, Memory> factor = {}) const;

 private:
  void run_actions(const Call<Scalar>& call, const Batch<Scalar>& batch, Progress& progress, const PassResult& result,
                   Kokkos::View<const double, Memory> factor) const;
  struct Piece;  // of the batch
  struct Run;    // what a run works with
  Piece piece(const Run& run, const Action& action, index_t index) const;
  void forward(const Run& run, const Action& action, index_t index) const;
  void backward(const Run& run, const Action& action, index_t index) const;
  void check(const Batch<Scalar>& batch, const PassResult& result) const;

  Model<Scalar>& model_;
  Division division_;
  Actions actions_;
  const LossHead<Scalar>& head_;
  GradientSum<Sum<Scalar>>* sum_;
  Links<Scalar>* links_;
  std::vector<StagePlan> plans_;  // of the stages that are here
};

}  // namespace partita::nn
