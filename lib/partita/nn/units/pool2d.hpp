// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/core/tree.hpp>
#include <partita/kernels/pool2d.hpp>
#include <partita/nn/unit.hpp>
#include <partita/nn/units/image.hpp>

namespace partita::nn {

enum class Pool { maximum, average };

/// Maximum or mean over windows of NHWC images. Maxima remember their winners for backward.
///
/// Where some of the image rows are here, a unit of the strategy owns this one and calls what is public here and below:
/// the observer is told of each as of any forward and backward_input.
template <class Scalar>
class Pool2d final : public Unit<Scalar> {
 public:
  Pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;

  /// Of rows that kernels::pool2d_slice gives the shape of; `winner` is nothing to a mean.
  ///
  /// Shapes   x, dx (B, part.inputs())   y, dy, winner (B, part.outputs()); rows may be padded.
  void forward_rows(const Call<Scalar>& call, const kernels::Pool2dShape& part, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                    Matrix<std::int32_t> winner) const;
  void backward_rows(const Call<Scalar>& call, const kernels::Pool2dShape& part, ConstMatrix<Scalar> dy,
                     ConstMatrix<std::int32_t> winner, Matrix<Scalar> dx) const;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;

 private:
  Matrix<std::int32_t> winner(const Call<Scalar>& call, std::size_t B) const {
    return Cutter(call.saved).matrix<std::int32_t>(static_cast<index_t>(B), this->outputs());
  }

  Pool pool_;
  kernels::Pool2dShape shape_;
};

/// y (C) = mean of x over the pixels of each sample.
template <class Scalar>
class GlobalAveragePool final : public Unit<Scalar> {
 public:
  GlobalAveragePool(const Tables& tables, std::string name, const Image& image);

  PassFlop flop(index_t B) const override;

  /// Two halves of forward where other rows of an image are elsewhere, of `pixels` in all: the sums of nodes of the
  /// tree over image rows (kernels::global_average_pool2d_nodes), and y from the sum of all; then backward.
  ///
  /// Shapes   x (B, inputs)   ->   sums (nodes, B outputs);   sum (B outputs)   ->   y (B, outputs).
  void forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, ConstMatrix<Scalar> x,
                     Matrix<Sum<Scalar>> sums) const;
  void forward_rest(const Call<Scalar>& call, index_t pixels, ConstVector<Sum<Scalar>> sum, Matrix<Scalar> y) const;
  void backward_rows(const Call<Scalar>& call, index_t pixels, ConstMatrix<Scalar> dy, Matrix<Scalar> dx) const;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;

 private:
  Image image_;
  kernels::Blocks rows_;
};

}  // namespace partita::nn
