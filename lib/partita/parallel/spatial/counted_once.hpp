// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/nn/unit.hpp>

namespace partita::parallel {

/// A leaf that ranks compute alike, whose gradients of weights an exchange adds up over them: one of them says what
/// they are, the others zeros.
template <class Scalar>
class CountedOnce final : public nn::Unit<Scalar> {
 public:
  /// counts: here.
  CountedOnce(std::unique_ptr<nn::Unit<Scalar>> unit, bool counts);

  nn::PassFlop flop(index_t B) const override { return unit_->flop(B); }
  nn::Footprint footprint(index_t B) const override { return unit_->footprint(B); }
  bool may_end_branch() const override { return unit_->may_end_branch(); }
  bool reads_x() const override { return unit_->reads_x(); }

 protected:
  void compute(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override {
    unit_->forward_untold(call, x, y);
  }
  void backward_input(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override {
    unit_->backward_untold(nn::Half::input, call, x, y, dy, dx);
  }
  void backward_weights(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  std::unique_ptr<nn::Unit<Scalar>> unit_;
  bool counts_;
};

}  // namespace partita::parallel
