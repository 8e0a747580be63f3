// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/comm/collectives/rooted.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/update.hpp>
#include <partita/parallel/completion.hpp>

namespace partita::parallel {

/// The central server that others are compared with: every rank sends its gradient to rank 0, which adds them up,
/// updates the weights and sends them to everybody.
///
/// Memory   rank 0 has the optimizer's state; gradients are added as they arrive, chunk by chunk. Deterministic: rank 0
///          has all tree nodes, and their sum.
/// Traffic  n = parameters + statistics sums from every rank but 0; n weights to all ("broadcast"); the batch's
///          statistics and the squares of the norm's cells to all.
template <class Scalar>
class GatherBroadcastExchange final : public nn::Exchange<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;

  /// All that is referred to must outlive this. Not collective, but in order.
  GatherBroadcastExchange(const comm::Communicator& axis, comm::Allreduce how, bool separate_wait,
                          nn::Model<Scalar>& model, const nn::FlatGradientSum<Real>& sum, const nn::Division& division);

  /// What the update works on: everything on rank 0, nothing elsewhere.
  nn::Ownership ownership(const nn::Model<Scalar>& model) const;

  const nn::Window<const Scalar>& weights(const Exec&, index_t) override { return weights_; }
  bool weights_stay() const override { return true; }
  void ready(const Exec&, Range range) override {
    complete_.add(range, [](int) {});
  }
  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override { return sum_.nodes() * sum_.size() * static_cast<index_t>(sizeof(Real)); }
  nn::ExchangeBytes allocated() const override { return {.gradients = nn::bytes_of(tree_sum_)}; }
  ConstVector<Real> gradients() const override { return sum_.weights_of(summed()); }
  ConstVector<Real> statistics() const override { return sum_.statistics_of(summed()); }
  void publish(const Exec& exec, nn::Observer& observer) override;

 private:
  Vector<Real> summed() const { return tree_ ? tree_sum_ : sum_.node(0); }

  const comm::Communicator& axis_;
  bool separate_wait_;
  Vector<Scalar> parameters_;
  nn::Window<const Scalar> weights_;
  const nn::FlatGradientSum<Real>& sum_;
  Range tail_;  // the batch's statistics, of the flat gradient
  Completion complete_;
  Vector<Real> tree_sum_;                                    // deterministic mode
  std::unique_ptr<comm::TreeReduceScatterPlan<Real>> tree_;  // deterministic mode
  std::unique_ptr<comm::ReducePlan<Real>> reduce_;           // fast mode
  std::unique_ptr<comm::BroadcastPlan<Real>> statistics_plan_;
  comm::BroadcastPlan<Scalar> broadcast_;
};

/// Completes the squares of norm cells, all of which rank 0 has.
/// Traffic  "broadcast" of 8 bytes a cell.
nn::CompleteSquares squares_of_root(const comm::Communicator& axis, index_t cells);

}  // namespace partita::parallel
