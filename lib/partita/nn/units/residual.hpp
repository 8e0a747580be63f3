// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include <partita/nn/chain.hpp>

namespace partita::nn {

/// y = s(x) + f(x), or relu(s(x) + f(x)): a composite of two chains of ordinary units. Without a shortcut s(x) = x.
///
/// The observer is told of the parts, and of the residual itself around the sum. Stages of a pipeline cut between
/// units, never inside one.
/// Source   He et al. 2016.
template <class Scalar>
class Residual final : public Unit<Scalar> {
 public:
  /// Throws   ShapeError when s(x) and f(x) differ in columns; UsageError when the last unit of f or s may not end a
  ///          branch.
  Residual(std::string name, Units<Scalar> branch, Units<Scalar> shortcut, bool relu);

  PassFlop flop(index_t B) const override { return flop(B, true); }
  PassFlop flop_without_dx(index_t B) const override { return flop(B, false); }
  Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return !relu_; }
  Restoring restoring(index_t B) const override;
  void visit(const std::function<void(Unit<Scalar>&)>& f) override;
  void plan(index_t B) override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  /// Of the two chains; the sum, which is y, is left out.
  void restore(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(Half half, const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                Matrix<Scalar> dx) const override;

 private:
  // Offsets of what the shortcut has behind what the branch has.
  struct Layout {
    std::size_t shortcut, shortcut_y;          // in the slot's block
    std::size_t shortcut_pending;              // among the pending
    std::size_t shortcut_dx, chain_workspace;  // in the workspace
    Footprint bytes;
  };
  PassFlop flop(index_t B, bool input_gradient) const;
  Layout layout(index_t B) const;
  Matrix<Scalar> matrix(std::byte* block, std::size_t at, std::size_t B, index_t columns) const {
    return {reinterpret_cast<Scalar*>(block + at), B, static_cast<std::size_t>(columns)};
  }
  Call<Scalar> of_branch(const Call<Scalar>& call) const;
  Call<Scalar> of_shortcut(const Call<Scalar>& call) const;

  Chain<Scalar> branch_;
  std::optional<Chain<Scalar>> shortcut_;  // none: the identity
  bool relu_;
  Layout layout_{};
};

}  // namespace partita::nn
