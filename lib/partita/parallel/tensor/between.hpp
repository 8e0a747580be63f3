// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/between.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// What stands between the local units of a model that is split over the ranks of an axis: units of this folder, tagged
/// with what they send. On one rank nothing.
template <class Scalar>
class TensorBetween final : public nn::Between<Scalar> {
 public:
  /// axis must outlive the units that are made.
  explicit TensorBetween(TensorAxis<Scalar>& axis) : axis_(&axis) {}

  nn::Layer<Scalar> into_split(const std::string& name, const nn::LinearShape& shape) const override;
  nn::Layer<Scalar> out_of_split(const std::string& name, const nn::LinearShape& shape) const override;
  nn::Layer<Scalar> embedding(const std::string& name, const nn::EmbeddingShape& shape) const override;
  nn::Layer<Scalar> token_norm(const std::string& name, nn::Norm norm, Slice tokens, index_t C) const override;

 private:
  bool alone() const { return axis_->ranks().size() == 1; }

  TensorAxis<Scalar>* axis_;
};

}  // namespace partita::parallel
