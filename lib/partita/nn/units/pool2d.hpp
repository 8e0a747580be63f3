// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/pool2d.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

enum class Pool { maximum, average };

/// Maximum or mean over windows of NHWC images. Maxima remember their winners for backward.
template <class Scalar>
class Pool2d final : public Unit<Scalar> {
 public:
  Pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape);

  std::string name() const override { return name_; }
  index_t inputs() const override { return shape_.inputs(); }
  index_t outputs() const override { return shape_.outputs(); }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  std::string name_;
  Pool pool_;
  kernels::Pool2dShape shape_;
};

/// y (C) = mean of x over the pixels of each sample.
template <class Scalar>
class GlobalAveragePool final : public Unit<Scalar> {
 public:
  GlobalAveragePool(std::string name, index_t pixels, index_t C);

  std::string name() const override { return name_; }
  index_t inputs() const override { return pixels_ * C_; }
  index_t outputs() const override { return C_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  std::string name_;
  index_t pixels_;
  index_t C_;
};

}  // namespace partita::nn
