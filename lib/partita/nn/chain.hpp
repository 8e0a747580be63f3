// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/nn/unit.hpp>

namespace partita::nn {

/// Units one after the other: what a stage is, and what stands inside a residual. Activations between them and what
/// units save live in the slot's block that the call names, but for activations that backward reads in no unit; in a
/// backward pass whose halves run together the gradients of activations alternate between two buffers of the workspace,
/// which in forward hold what is not kept; else each has its own among the pending.
///
///     three units 0 1 2; what a unit saves comes before its output, the last output is the caller's
///
///     saved      | of 0 | y0 | of 1 | y1 | of 2 |
///     workspace  | dy0, dy2, ... | dy1, ... | largest workspace of a unit |     both halves together
///     pending    | of 0 | dy0 | of 1 | dy1 | of 2 |                             halves apart
///
/// Throws   ShapeError where a unit does not take what the one before it gives.
template <class Scalar>
class Chain {
 public:
  explicit Chain(Units<Scalar> units);
  Chain(Chain&&) = default;
  Chain& operator=(Chain&&) = default;

  index_t inputs() const { return units_.front()->inputs(); }
  index_t outputs() const { return units_.back()->outputs(); }
  const Units<Scalar>& units() const { return units_; }
  bool may_end_branch() const { return units_.back()->may_end_branch(); }
  void visit(const std::function<void(Unit<Scalar>&)>& f) const;
  /// Without the first unit's input gradient unless asked for.
  PassFlop flop(index_t B, bool input_gradient) const;
  Restoring restoring(index_t B) const;

  Footprint footprint(index_t B) const;
  /// Lays out the memory of calls with up to B rows: where a unit's part lies is known from then on.
  void plan(index_t B);

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  /// As Unit::restore: forward of all units but the last one that saves something or reads its x in backward, of which
  /// it is asked, and nothing of those behind.
  void restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  /// As Unit::backward; dy may be overwritten.
  void backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                Matrix<Scalar> dx) const;

 private:
  // Where in the slot's block, among the pending and in the workspace the parts of one unit lie; of the last unit's
  // output and its gradient the caller holds both.
  struct Place {
    std::size_t saved = 0, y = 0, pending = 0, dy_pending = 0, dy_workspace = 0;
    bool y_stays = true;  // else it is where dy will be
  };
  struct Layout {
    std::vector<Place> places;
    Footprint bytes;
    std::size_t last_restored = 0;  // unit
    std::size_t own_workspace = 0;  // the two buffers; what units need lies behind them
  };
  Layout layout(index_t B) const;
  Matrix<Scalar> output(const Call<Scalar>& call, std::size_t u, index_t B) const;
  Matrix<Scalar> output_gradient(const Call<Scalar>& call, std::size_t u, index_t B) const;
  std::size_t last_restored() const;
  ConstMatrix<Scalar> forward_before(std::size_t end, const Call<Scalar>& call, ConstMatrix<Scalar> x, index_t B) const;
  Call<Scalar> of_unit(const Call<Scalar>& call, std::size_t u) const;

  Units<Scalar> units_;
  Layout layout_;
};

}  // namespace partita::nn
