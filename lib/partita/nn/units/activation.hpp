// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/activation.hpp>
#include <partita/nn/unit.hpp>
#include <utility>

namespace partita::nn {

/// y = act(x), element by element; keeps x, so that any activation works. See Linear for fused ones.
template <class Scalar>
class Activation final : public Unit<Scalar> {
 public:
  Activation(std::string name, index_t columns, kernels::Activation activation)
      : name_(std::move(name)), columns_(columns), activation_(activation) {}

  std::string name() const override { return name_; }
  index_t inputs() const override { return columns_; }
  index_t outputs() const override { return columns_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  std::string name_;
  index_t columns_;
  kernels::Activation activation_;
};

}  // namespace partita::nn
