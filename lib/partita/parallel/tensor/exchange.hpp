// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/update.hpp>
#include <partita/parallel/exchanges/allreduce.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// Whether every rank of the axis holds all of a tensor, where a model is split over it.
bool is_replicated(const nn::Parameter& parameter);

/// The norm of a model that is split over the ranks of an axis: what all of them hold counts once, as the first rank's.
///
/// `whole` is the table of the whole model in deterministic mode, where cells are put at their places among the whole's
/// and the sum has its bits; null: each rank adds up its own. Both tables are read here alone; the axis must outlive
/// what is returned.
///
/// Traffic  an all-reduce of one double, or of the whole model's cells.
nn::CompleteSquares split_squares(const comm::Communicator& axis, const nn::ParameterTable& part,
                                  const nn::ParameterTable* whole);

/// A data-parallel exchange of what this rank holds of a model that is split over a second axis. Some ranges of its
/// gradient are parts of sums over that axis, those of norms that work on some of the tokens (sequence mode): they are
/// added up after the exchange, once a step. Seconds of the axis' units count as overlap of the step.
///
/// Traffic  beside that of `inner` an all-reduce of the ranges' elements in accumulate_t<Scalar>.
template <class Scalar>
class TensorExchange final : public nn::Exchange<Scalar> {
 public:
  /// `gradient` is that of `inner`, where it can be written. All that is referred to must outlive this.
  TensorExchange(nn::Exchange<Scalar>& inner, TensorAxis<Scalar>& axis, Vector<nn::Sum<Scalar>> gradient,
                 std::vector<Range> partial);

  const nn::Window<const Scalar>& weights(const Exec& exec, index_t step) override {
    return inner_.weights(exec, step);
  }
  bool weights_stay() const override { return inner_.weights_stay(); }
  bool reads_together() const override { return inner_.reads_together(); }
  void reading(const Exec& exec, const nn::Moment& moment, std::span<const Range> reads,
               nn::Observer& observer) override {
    inner_.reading(exec, moment, reads, observer);
  }
  void read(const Exec& exec, const nn::Moment& moment) override { inner_.read(exec, moment); }
  void ready(const Exec& exec, Range range) override { inner_.ready(exec, range); }
  void progress() override { inner_.progress(); }
  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override {
    return inner_.bytes() + static_cast<index_t>(sums_.size() * sizeof(nn::Sum<Scalar>));
  }
  ConstVector<nn::Sum<Scalar>> gradients() const override { return inner_.gradients(); }
  ConstVector<nn::Sum<Scalar>> statistics() const override { return inner_.statistics(); }
  void publish(const Exec& exec, nn::Observer& observer) override { inner_.publish(exec, observer); }
  nn::OverlapTime take_overlap() override;
  nn::ExchangeBytes allocated() const override { return inner_.allocated(); }
  void visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) override {
    inner_.visit_weights(exec, visit);
  }

 private:
  nn::Exchange<Scalar>& inner_;
  TensorAxis<Scalar>& axis_;
  Vector<nn::Sum<Scalar>> gradient_, sums_;
  std::vector<Range> partial_;
  comm::AllreducePlan<nn::Sum<Scalar>> plan_;
};

}  // namespace partita::parallel
