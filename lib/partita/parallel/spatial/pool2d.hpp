// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <partita/nn/units/pool2d.hpp>
#include <partita/parallel/spatial/halo.hpp>
#include <partita/parallel/spatial/spatial_axis.hpp>

namespace partita::parallel {

/// nn::Pool2d of image rows that ranks share: as SpatialConv2d, but that backward of a maximum also asks neighbours for
/// their winners.
///
/// Traffic  halo_bytes; of a maximum as much again backward, in std::int32_t.
template <class Scalar>
class SpatialPool2d final : public nn::Unit<Scalar> {
 public:
  /// shape, reduction: of the whole image, and of its input. axis must outlive the unit.
  /// Throws   as row_stencil.
  SpatialPool2d(const std::string& name, nn::Pool pool, const kernels::Pool2dShape& shape, index_t reduction,
                SpatialAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return pool_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool communicates() const override { return true; }
  index_t moments() const override { return 4 + 4; }  // as SpatialConv2d's
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  using Winner = std::int32_t;
  struct Buffers {
    Matrix<Winner> winner;             // saved
    Vector<Scalar> leaving, arriving;  // of x, or dy
    Vector<Winner> winners_leaving, winners_arriving;
    Vector<Scalar> window;  // rows that an edge reads
    Vector<Winner> winner_window;
  };
  Buffers cut(const nn::Call<Scalar>& call, std::size_t B) const;
  Buffers cut(nn::Cutter& saved, nn::Cutter& workspace, index_t B) const;
  bool maximum() const { return kind_ == nn::Pool::maximum; }

  SpatialAxis<Scalar>& axis_;
  nn::Pool kind_;
  kernels::Pool2dShape shape_;  // of the whole image
  RowStencil rows_;
  index_t row_of_x_, row_of_y_;
  std::unique_ptr<nn::Pool2d<Scalar>> pool_;  // of what is here
  std::unique_ptr<Halo<Scalar>> halo_of_x_, halo_of_dy_;
  std::unique_ptr<Halo<Winner>> halo_of_winners_;
};

/// nn::GlobalAveragePool over image rows that ranks share: all get the mean over the whole image.
///
/// Traffic  forward an all-reduce of (B, C) numbers of nn::Sum<Scalar>; in deterministic mode of the tree's nodes.
template <class Scalar>
class SpatialGlobalPool final : public nn::Unit<Scalar> {
 public:
  /// image: the whole. axis must outlive the unit.
  SpatialGlobalPool(const std::string& name, const nn::Image& image, SpatialAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return pool_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool communicates() const override { return true; }
  index_t moments() const override { return 3; }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  /// Nothing travels: dy is the same on all ranks.
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  using Real = nn::Sum<Scalar>;

  SpatialAxis<Scalar>& axis_;
  nn::Image image_;
  std::vector<Node> nodes_;
  std::unique_ptr<nn::GlobalAveragePool<Scalar>> pool_;  // of what is here
};

}  // namespace partita::parallel
