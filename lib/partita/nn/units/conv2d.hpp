// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>

#include <partita/core/tree.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = x * W + b: a two-dimensional convolution of NHWC images with filters (F, kernel_rows, kernel_columns, C).
///
/// Initial weights are normal with deviation sqrt(2 / (kernel area x C)) (He et al. 2015), biases zero.
///
/// Where some of the image rows are here, a unit of the strategy owns this one and calls what is public here, with
/// shapes that kernels::conv2d_slice makes of shape(): the observer is told of each as of any forward, backward_input
/// or backward_weights.
template <class Scalar>
class Conv2d final : public Unit<Scalar> {
 public:
  /// Declares W and b under "<name>.weight" and "<name>.bias".
  Conv2d(Tables& tables, std::string name, const kernels::Conv2dShape& shape, bool bias);

  PassFlop flop(index_t B) const override;
  const kernels::Conv2dShape& shape() const { return shape_; }
  bool biased() const { return bias_.extent > 0; }

  /// Shapes   x, dx (B, part.inputs())   y, dy (B, part.outputs())
  void forward_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part, ConstMatrix<Scalar> x,
                    Matrix<Scalar> y) const;
  void backward_input_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part, ConstMatrix<Scalar> dy,
                           Matrix<Scalar> dx) const;
  /// The gradient is that of these rows.
  void backward_weights_rows(const Call<Scalar>& call, const kernels::Conv2dShape& part, ConstMatrix<Scalar> x,
                             ConstMatrix<Scalar> dy) const;
  /// The gradient is that of all rows: sums are nodes of the tree over rows (kernels::conv2d_backward_weights_nodes),
  /// of which add() makes the root.
  ///
  /// Shapes   sums (nodes, F kernel, and F more with a bias)   ->   root (as long as one of them).
  void backward_weights_nodes(const Call<Scalar>& call, const kernels::Conv2dShape& part, std::span<const Node> nodes,
                              ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy, Matrix<Sum<Scalar>> sums,
                              Vector<Sum<Scalar>> root, const std::function<void()>& add) const;

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
