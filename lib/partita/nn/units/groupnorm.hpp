// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/kernels/groupnorm.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = (x - mean) / sqrt(var + epsilon) gamma + beta, mean and var over the pixels and channels of a group of each
/// image (Wu and He 2018): no image depends on another, in training or inference.
template <class Scalar>
class GroupNorm final : public Unit<Scalar> {
 public:
  /// Declares gamma and beta under "<name>.weight" and "<name>.bias".
  GroupNorm(ParameterTable& table, std::string name, index_t pixels, index_t C,
            const kernels::GroupnormOptions& options);

  std::string name() const override { return name_; }
  index_t inputs() const override { return pixels_ * C_; }
  index_t outputs() const override { return pixels_ * C_; }
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
    Matrix<State<Scalar>> mean, rstd;     // of each image and group
    Vector<State<Scalar>> dgamma, dbeta;  // sums before they are rounded
  };
  Saved cut(Cutter& cutter, index_t B) const;

  std::string name_;
  index_t pixels_;
  index_t C_;
  kernels::GroupnormOptions options_;
  std::array<Range, 2> ranges_;  // gamma, beta
};

}  // namespace partita::nn
