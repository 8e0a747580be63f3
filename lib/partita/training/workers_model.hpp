// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/training/server_parts.hpp>

namespace partita::training {

/// The model as workers of a parameter server have it: the whole one, or, of a bag of keys, its units over the rows of
/// the table that a gradient touches. Where a gradient does not follow a pull of its own
/// (parallel::server::pulls_for_each), a worker has all rows.
template <class Scalar>
class WorkersModel {
 public:
  /// Everything that `parts` refers to must outlive this.
  WorkersModel(const ServerParts<Scalar>& parts, WorkersData has);

  nn::Model<Scalar>& model() const { return some_ ? *some_ : whole_; }
  const nn::LossHead<Scalar>& head() const { return some_ ? *head_of_some_ : head_; }
  /// With the table that is cut down, if one is.
  const WorkersData& data() const { return has_; }

 private:
  nn::Model<Scalar>& whole_;
  const nn::LossHead<Scalar>& head_;
  WorkersData has_;
  std::unique_ptr<nn::Model<Scalar>> some_;
  std::unique_ptr<nn::LossHead<Scalar>> head_of_some_;
};

}  // namespace partita::training
