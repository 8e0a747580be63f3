// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/conv2d.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = x * W + b: a two-dimensional convolution of NHWC images with filters (F, kernel_rows, kernel_columns, C).
///
/// Initial weights are normal with deviation sqrt(2 / (kernel area x C)) (He et al. 2015), biases zero.
template <class Scalar>
class Conv2d final : public Unit<Scalar> {
 public:
  /// Declares W and b under "<name>.weight" and "<name>.bias".
  Conv2d(Tables& tables, std::string name, const kernels::Conv2dShape& shape, bool bias);

  PassFlop flop(index_t B) const override;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  kernels::Conv2dShape shape_;
  kernels::Blocks rows_;  // in which sums over the rows of y are cut
  Range weight_, bias_;   // without a bias its extent is 0
};

}  // namespace partita::nn
