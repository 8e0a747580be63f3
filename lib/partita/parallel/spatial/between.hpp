// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/between.hpp>
#include <partita/parallel/spatial/spatial_axis.hpp>
#include <partita/parallel/sync_batchnorm.hpp>

namespace partita::parallel {

/// What a CNN is made of whose image rows are shared by the ranks of an axis: units of this folder, tagged with what
/// they send.
///
///     rank 0   rows 0 .. 13    conv  halo | norm  sums | conv  halo | ... | pool  sum | linear   scores
///                                     |           |            |                 |
///     rank 1   rows 14 .. 27   conv  halo | norm  sums | conv  halo | ... | pool  sum | linear   the same scores
///
/// In fast mode gradients are parts of sums over the axis, those of the last layer whole on its first rank and zero
/// elsewhere: an exchange over the ranks of all replicas adds them up. In deterministic mode every rank has the whole
/// gradient of its replica's rows.
template <class Scalar>
class SpatialBetween final : public nn::Between<Scalar> {
 public:
  /// norms: the ranks whose rows are behind a batch norm's statistics, those of the axis or more; fast mode. Both must
  /// outlive the units that are made.
  SpatialBetween(SpatialAxis<Scalar>& axis, BatchNormAxis& norms) : axis_(&axis), norms_(&norms) {}

  nn::Layer<Scalar> batchnorm2d(const std::string& name, const nn::Image& image, bool relu) const override;
  /// Throws   UsageError: its statistics are an image's own, and an image is not here.
  nn::Layer<Scalar> groupnorm(const std::string& name, const nn::Image& image, index_t groups) const override;
  nn::Layer<Scalar> conv2d(const std::string& name, const kernels::Conv2dShape& shape,
                           index_t reduction) const override;
  nn::Layer<Scalar> pool2d(const std::string& name, nn::Pool pool, const kernels::Pool2dShape& shape,
                           index_t reduction) const override;
  nn::Layer<Scalar> global_average_pool(const std::string& name, const nn::Image& image) const override;
  nn::Layer<Scalar> linear_by_all(const std::string& name, const nn::LinearShape& shape) const override;

 private:
  SpatialAxis<Scalar>* axis_;
  BatchNormAxis* norms_;
};

}  // namespace partita::parallel
