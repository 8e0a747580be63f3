// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = (x - mean(x)) / sqrt(var(x) + epsilon) gamma + beta over the C columns of each token (Ba et al. 2016).
template <class Scalar>
class LayerNorm final : public Unit<Scalar> {
 public:
  /// Declares gamma and beta under "<name>.weight" and "<name>.bias".
  LayerNorm(ParameterTable& table, std::string name, index_t tokens, index_t C, double epsilon = 1e-5);

  std::string name() const override { return name_; }
  index_t inputs() const override { return tokens_ * C_; }
  index_t outputs() const override { return tokens_ * C_; }
  std::span<const Range> ranges() const override { return ranges_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  struct Saved {
    Vector<State<Scalar>> mean, rstd;
  };
  Saved cut(Cutter& cutter, index_t B) const;

  std::string name_;
  index_t tokens_;
  index_t C_;
  double epsilon_;
  std::array<Range, 2> ranges_;  // gamma, beta
};

/// y = x / sqrt(mean(x^2) + epsilon) gamma over the C columns of each token (Zhang and Sennrich 2019).
template <class Scalar>
class RmsNorm final : public Unit<Scalar> {
 public:
  /// Declares gamma under "<name>.weight".
  RmsNorm(ParameterTable& table, std::string name, index_t tokens, index_t C, double epsilon = 1e-5);

  std::string name() const override { return name_; }
  index_t inputs() const override { return tokens_ * C_; }
  index_t outputs() const override { return tokens_ * C_; }
  std::span<const Range> ranges() const override { return ranges_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  std::string name_;
  index_t tokens_;
  index_t C_;
  double epsilon_;
  std::array<Range, 1> ranges_;  // gamma
};

}  // namespace partita::nn
