// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/groupnorm.hpp>
#include <partita/nn/unit.hpp>
#include <partita/nn/units/image.hpp>

namespace partita::nn {

/// y = (x - mean) / sqrt(var + epsilon) gamma + beta, mean and var over the pixels and channels of a group of each
/// image (Wu and He 2018): no image depends on another, in training or inference.
template <class Scalar>
class GroupNorm final : public Unit<Scalar> {
 public:
  /// Declares gamma and beta under "<name>.weight" and "<name>.bias".
  /// Throws   UsageError for groups that do not divide the channels.
  GroupNorm(Tables& tables, std::string name, const Image& image, index_t groups);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  struct Saved {
    Matrix<Sum<Scalar>> mean, rstd;  // of each image and group
  };
  Saved cut(Cutter cutter, index_t B) const;

  Image image_;
  kernels::GroupnormOptions options_;
  Range gamma_, beta_;
};

}  // namespace partita::nn
