// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/pool2d.hpp>
#include <partita/nn/unit.hpp>
#include <partita/nn/units/image.hpp>

namespace partita::nn {

enum class Pool { maximum, average };

/// Maximum or mean over windows of NHWC images. Maxima remember their winners for backward.
template <class Scalar>
class Pool2d final : public Unit<Scalar> {
 public:
  Pool2d(std::string name, Pool pool, const kernels::Pool2dShape& shape);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;

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

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;

 private:
  Image image_;
  kernels::Blocks rows_;
};

}  // namespace partita::nn
