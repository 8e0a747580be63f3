// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/exchange.hpp>

namespace partita::parallel {

/// Replicated weights: every rank holds the whole model and a share of each batch.
///
///     g = 1/B sum_b dloss(x_b, y_b; w)/dw      summed over my rows, then over the ranks of the axis by all-reduce
///
/// Every row weighs 1/B of the global batch, so the mean is exact for uneven shares. In fast mode one flat all-reduce
/// of n = parameters + statistics elements; in deterministic mode the nodes of the tree over the batch's chunks travel
/// to their owners and the root's slices to everybody (TreeAllreducePlan).
///
/// Memory   deterministic: three flat gradients, and what arrives of n / P elements from each node.
/// Traffic  "allreduce" or "tree_allreduce" on the axis; comm/closed_forms.hpp.
template <class Scalar>
class AllreduceExchange final : public nn::Exchange<Scalar> {
 public:
  /// With separate_wait a barrier is ahead of the all-reduce, so that waiting for ranks is not taken for transfer.
  /// All that is referred to must outlive this. Not collective.
  AllreduceExchange(const comm::Communicator& axis, comm::Allreduce how, bool separate_wait,
                    ConstVector<Scalar> parameters, const nn::FlatGradientSum<nn::Sum<Scalar>>& sum,
                    const nn::Division& division);

  const nn::Window<const Scalar>& weights(const Exec&, index_t) override { return weights_; }
  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override {
    return (tree_plan_ ? sum_.nodes() : 1) * sum_.size() * static_cast<index_t>(sizeof(Real));
  }
  ConstVector<nn::Sum<Scalar>> gradients() const override { return sum_.weights_of(summed()); }
  ConstVector<nn::Sum<Scalar>> statistics() const override { return sum_.statistics_of(summed()); }

 private:
  using Real = nn::Sum<Scalar>;
  ConstVector<Real> summed() const;

  const comm::Communicator& axis_;
  bool separate_wait_;
  nn::Window<const Scalar> weights_;
  const nn::FlatGradientSum<Real>& sum_;
  std::unique_ptr<comm::AllreducePlan<Real>> plan_;           // fast mode
  std::unique_ptr<comm::TreeAllreducePlan<Real>> tree_plan_;  // deterministic mode
};

}  // namespace partita::parallel
