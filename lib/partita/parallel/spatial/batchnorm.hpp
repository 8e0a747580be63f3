// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <partita/nn/units/batchnorm2d.hpp>
#include <partita/parallel/spatial/spatial_axis.hpp>

namespace partita::parallel {

/// nn::BatchNorm2d over image rows that ranks share, with the bits of the whole's (deterministic mode): every sum is
/// the tree over rows, whose nodes ranks bring. Gradients of gamma and beta, and what the running statistics are told,
/// are those of all rows, on every rank. In fast mode SyncBatchNorm does.
///
/// Traffic  forward two tree all-reduces of C doubles, also where it is done again; backward one of 2 C.
template <class Scalar>
class SpatialBatchNorm final : public nn::Unit<Scalar> {
 public:
  /// image: the whole. axis must outlive the unit.
  SpatialBatchNorm(nn::Tables& tables, const std::string& name, const nn::Image& image, bool relu,
                   SpatialAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return norm_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return norm_->may_end_branch(); }
  bool communicates() const override { return true; }
  index_t moments() const override { return 3; }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  struct Buffers {
    Matrix<double> sums;
    Vector<double> root, mean;
  };
  // Of so many numbers a node.
  Buffers cut(nn::Cutter& workspace, index_t numbers) const;
  void add(const Exec& exec, const Buffers& memory) const;

  SpatialAxis<Scalar>& axis_;
  nn::Image image_;
  std::vector<Node> nodes_;
  std::unique_ptr<nn::BatchNorm2d<Scalar>> norm_;  // of what is here
};

}  // namespace partita::parallel
