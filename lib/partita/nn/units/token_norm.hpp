// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/layernorm.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// layer   y = (x - mean(x)) / sqrt(var(x) + epsilon) gamma + beta     (Ba et al. 2016)
/// rms     y = x / sqrt(mean(x^2) + epsilon) gamma                     (Zhang and Sennrich 2019)
enum class Norm { layer, rms };

/// A norm over the C columns of each token.
template <class Scalar>
class TokenNorm final : public Unit<Scalar> {
 public:
  /// Declares gamma and, for layer, beta under "<name>.weight" and "<name>.bias".
  TokenNorm(Tables& tables, std::string name, Norm norm, Slice tokens, index_t C, double epsilon = 1e-5);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  struct Saved {
    Vector<Sum<Scalar>> rstd, mean;  // of each token; rms has no mean
  };
  Saved cut(Cutter cutter, index_t B) const;

  Norm norm_;
  index_t tokens_, C_;
  double epsilon_;
  kernels::TokenBlocks blocks_;
  Range gamma_, beta_;
};

}  // namespace partita::nn
