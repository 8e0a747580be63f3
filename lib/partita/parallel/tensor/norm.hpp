// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/nn/units/token_norm.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// The norm of the tokens that are here, whose gradients of gamma and beta have the bits of all tokens' norm: ranks
/// gather x and dy, and each adds up the whole (deterministic mode). In fast mode an ordinary norm does, and its
/// gradients are summed over ranks once a step (TensorExchange).
///
/// Traffic  two all-gathers of (B, T C) in backward.
template <class Scalar>
class TokenParallelNorm final : public nn::Unit<Scalar> {
 public:
  TokenParallelNorm(nn::Tables& tables, const std::string& name, nn::Norm norm, index_t C, TensorAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return here_->flop(B); }
  nn::Footprint footprint(index_t B) const override;

 protected:
  void compute(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override {
    here_->forward_untold(call, x, y);
  }
  void backward_input(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override {
    here_->backward_untold(nn::Half::input, call, x, y, dy, dx);
  }
  void backward_weights(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  struct Buffers {
    Matrix<Scalar> x, y, dy;  // of all tokens
    Vector<Scalar> staging;
    std::byte* saved = nullptr;  // of the whole norm
  };
  Buffers cut(nn::Cutter& workspace, index_t B) const;

  TensorAxis<Scalar>& axis_;
  index_t C_;
  std::unique_ptr<nn::TokenNorm<Scalar>> here_, whole_;  // two views of the same gamma and beta
};

}  // namespace partita::parallel
