// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/chain.hpp>

namespace partita::nn {

/// y = s(x) + f(x), or relu(s(x) + f(x)): a composite of two chains of ordinary units. Without a shortcut s(x) = x.
///
/// He et al. 2016. Stages of a pipeline cut between units, never inside one.
template <class Scalar>
class Residual final : public Unit<Scalar> {
 public:
  /// Throws  ShapeError when s(x) and f(x) differ in columns; UsageError when the last unit of f or s may not end a
  /// branch.
  Residual(std::string name, Units<Scalar> branch, Units<Scalar> shortcut, bool relu);

  std::string name() const override { return name_; }
  index_t inputs() const override { return branch_.inputs(); }
  index_t outputs() const override { return branch_.outputs(); }
  std::span<const Range> ranges() const override { return ranges_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;
  bool may_end_branch() const override { return !relu_; }

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  struct Saved {
    std::byte* branch;
    std::byte* shortcut;
    Matrix<Scalar> shortcut_y;   // s(x)
    Matrix<Scalar> shortcut_dx;  // its share of dx
  };
  Saved cut(Cutter& cutter, index_t B) const;

  std::string name_;
  Chain<Scalar> branch_;
  std::unique_ptr<Chain<Scalar>> shortcut_;  // null: the identity
  bool relu_;
  std::vector<Range> ranges_;
};

}  // namespace partita::nn
