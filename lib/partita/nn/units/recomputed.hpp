// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/chain.hpp>

namespace partita::nn {

/// A chain of ordinary units that keeps its input alone: a composite whose backward runs the chain's forward again, for
/// what the chain needs, and then the chain's backward. The input is in the slot already, as the output of the unit
/// before or as what a residual reads.
///
///     forward     chain.forward, what it saves in the workspace
///     backward    chain.restore, the same, as a replay; then chain.backward from there
///
/// Of the last unit only what it saves is computed again: its output is read by nobody, or is the caller's y. So units
/// at the end of a branch that save nothing, such as a projection with its sum over ranks and the dropout behind it, do
/// not run again.
///
///     workspace  | what the chain saves | y, where it is written | workspace of the chain |
///
/// The observer and Progress hear of the replay as of forward, with Moment::replay: weights are read once more.
///
/// Memory   saved 0; workspace as above, once for all micro-batches. Halves of backward that run apart are refused:
///          what is computed again would have to stay from one to the other.
/// Bits     those of the chain: dropout draws from (seed, name, step, row, column), statistics of a piece are the same
///          numbers and go where they belong once, in backward_weights.
/// Cost     PassFlop::again, which no rate of useful operations counts.
/// Source   Chen et al. 2016; Korthikanti et al. 2022.
template <class Scalar>
class Recomputed final : public Unit<Scalar> {
 public:
  Recomputed(std::string name, Units<Scalar> units);

  PassFlop flop(index_t B) const override { return flop(B, true); }
  PassFlop flop_without_dx(index_t B) const override { return flop(B, false); }
  Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return chain_.may_end_branch(); }
  bool recomputes() const override { return true; }
  void visit(const std::function<void(Unit<Scalar>&)>& f) override;
  void plan(index_t B) override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  /// Throws   UsageError for a half alone.
  void backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                Matrix<Scalar> dx) const override;

 private:
  struct Layout {
    std::size_t y, chain_workspace, bytes;  // of the workspace
  };
  PassFlop flop(index_t B, bool input_gradient) const;
  Layout layout(index_t B) const;
  Call<Scalar> of_chain(const Call<Scalar>& call) const;

  Chain<Scalar> chain_;
  Layout layout_{};
};

}  // namespace partita::nn
