// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>

#include <partita/core/tree.hpp>
#include <partita/kernels/batchnorm.hpp>
#include <partita/nn/unit.hpp>
#include <partita/nn/units/image.hpp>

namespace partita::nn {

/// y = (x - mean) / sqrt(var + epsilon) gamma + beta, then relu if asked, per channel over all pixels of a piece of the
/// batch; in inference with the running statistics (Ioffe and Szegedy 2015).
///
/// Its part of the batch's statistics, mean and unbiased variance times rows / batch, goes where the call says, as a
/// gradient does: what the running statistics move towards at the end of a step, and only then (Update).
///
/// Where a piece is a part of the rows behind its statistics, a unit of the strategy owns this one and calls what is
/// public here: the observer is told of each as of any forward and backward_input. Where ranks have some rows of the
/// same images, and add up what each says, `share` is that part of an image.
template <class Scalar>
class BatchNorm2d final : public Unit<Scalar> {
 public:
  /// Declares gamma and beta under "<name>.weight" and "<name>.bias", and among the statistics "<name>.running_mean"
  /// and "<name>.running_variance".
  BatchNorm2d(Tables& tables, std::string name, const Image& image, bool relu, double share = 1);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return !options_.relu; }  // relu's mask is taken from y

  index_t channels() const { return C_; }

  /// Two halves of forward in training: what is added up over all parts (kernels::batchnorm_share), and y from the
  /// sums. What the running statistics are told is those of all rows, times the rows here / batch, and share.
  ///
  /// Shapes   x (B, inputs)   ->   sums (2 channels + 1), overwritten;   sums   ->   y (B, outputs), overwritten.
  void forward_sums(const Call<Scalar>& call, ConstMatrix<Scalar> x, Vector<double> sums) const;
  void forward_rest(const Call<Scalar>& call, ConstVector<double> sums, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  /// Two halves of backward_input: what is added up (kernels::batchnorm_share_slopes), and dx from the sums. The
  /// gradients of gamma and beta are those of the rows here.
  ///
  /// Shapes   rows (1): sums (2 channels) of forward   ->   means (2 channels), overwritten;   means   ->   dx.
  void backward_sums(const Call<Scalar>& call, ConstVector<double> rows, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                     ConstMatrix<Scalar> dy, Vector<Sum<Scalar>> means) const;
  void backward_rest(const Call<Scalar>& call, ConstVector<Sum<Scalar>> means, ConstMatrix<Scalar> x,
                     ConstMatrix<Scalar> y, ConstMatrix<Scalar> dy, Matrix<Scalar> dx) const;

  /// The same as trees over image rows (deterministic mode), of which add() makes the root, all in double: forward asks
  /// for the sum of x, then for that of (x - mean)^2, backward once, for both slopes, which are then those of all rows.
  ///
  /// rows     R, behind the statistics
  /// Shapes   sums (nodes, C; backward 2 C)   ->   root (C; 2 C); mean (C): scratch.
  void forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, index_t rows, ConstMatrix<Scalar> x,
                     Matrix<Scalar> y, Matrix<double> sums, Vector<double> root, Vector<double> mean,
                     const std::function<void()>& add) const;
  void backward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, index_t rows, ConstMatrix<Scalar> x,
                      ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar> dx, Matrix<double> sums,
                      Vector<double> root, const std::function<void()>& add) const;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  struct Saved {
    Vector<Sum<Scalar>> mean, variance, rstd;  // of the piece
    Vector<Sum<Scalar>> dgamma, dbeta;         // sums that dx needs too
  };
  Saved cut(Cutter cutter) const;
  // Of the piece: saved.dgamma, saved.dbeta.
  void sum_slopes(const Call<Scalar>& call, const Saved& saved, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                  ConstMatrix<Scalar> dy) const;

  index_t C_;
  index_t pixels_;
  double share_;
  kernels::BatchnormOptions options_;
  Range gamma_, beta_, mean_, variance_;
};

}  // namespace partita::nn
