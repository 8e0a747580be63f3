// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/update.hpp>
#include <partita/parallel/exchanges/allreduce.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// Whether every rank of the axis holds all of a tensor, where a model is split over it.
bool is_replicated(const nn::Parameter& parameter);

/// The norm of a model that is split over the ranks of an axis. `counts`: whether a tensor of this rank's table counts
/// here; each element of the whole model must on one rank.
///
/// `whole` is the table of the whole model in deterministic mode, where cells are put at their places among the whole's
/// and the sum has its bits; null: each rank adds up its own. Both tables are read here alone; the axis must outlive
/// what is returned.
///
/// Traffic  an all-reduce of one double, or of the whole model's cells.
nn::CompleteSquares split_squares(const comm::Communicator& axis, const nn::ParameterTable& part,
                                  const nn::ParameterTable* whole,
                                  const std::function<bool(const nn::Parameter&)>& counts);

/// A data-parallel exchange of what this rank holds of a model that is split over a second axis. Some ranges of its
/// gradient are parts of sums over that axis, those of norms that work on some of the tokens (sequence mode): they are
/// added up after the exchange, once a step. Seconds of the axis' units count as overlap of the step.
///
/// Traffic  beside that of `inner` an all-reduce of the ranges' elements in accumulate_t<Scalar>.
template <class Scalar>
class TensorExchange final : public nn::ExchangeAround<Scalar> {
 public:
  /// `gradient` is that of `inner`, where it can be written. All that is referred to must outlive this.
  TensorExchange(nn::Exchange<Scalar>& inner, TensorAxis<Scalar>& axis, Vector<nn::Sum<Scalar>> gradient,
                 std::vector<Range> partial);

  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override {
    return nn::ExchangeAround<Scalar>::bytes() + static_cast<index_t>(sums_.size() * sizeof(nn::Sum<Scalar>));
  }
  nn::OverlapTime take_overlap() override;

 private:
  TensorAxis<Scalar>& axis_;
  Vector<nn::Sum<Scalar>> gradient_, sums_;
  std::vector<Range> partial_;
  comm::AllreducePlan<nn::Sum<Scalar>> plan_;
};

}  // namespace partita::parallel
