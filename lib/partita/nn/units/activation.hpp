// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include <partita/kernels/activation.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = act(x), element by element; keeps x, so that any activation works. See Linear for fused ones.
template <class Scalar>
class Activation final : public Unit<Scalar> {
 public:
  Activation(std::string name, index_t columns, kernels::Activation activation)
      : Unit<Scalar>(std::move(name), columns, columns), activation_(activation) {}

  PassFlop flop(index_t B) const override;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;

 private:
  kernels::Activation activation_;
};

}  // namespace partita::nn
