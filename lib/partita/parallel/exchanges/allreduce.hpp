// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/parallel/completion.hpp>
#include <partita/parallel/flights.hpp>

namespace partita::parallel {

/// How an exchange that works while backward runs is helped on: not at all, or by a test after every unit.
enum class ProgressMode { none, test };

struct AllreduceExchangeOptions {
  comm::Allreduce how = comm::Allreduce::mpi;
  std::vector<index_t> buckets;  ///< bounds of the ranges that are exchanged on their own; empty: all at the end
  ProgressMode progress = ProgressMode::test;
  bool separate_wait = true;  ///< without buckets: a barrier first, so that waiting for ranks is not taken for transfer
};

/// Replicated weights: every rank holds the whole model and a share of each batch.
///
///     g = 1/B sum_b dloss(x_b, y_b; w)/dw      summed over my rows, then over the ranks of the axis by all-reduce
///
/// Every row weighs 1/B of the global batch, so the mean is exact for uneven shares. In fast mode all-reduces of
/// n = parameters + statistics elements in all; in deterministic mode the nodes of the tree over the batch's chunks
/// travel to their owners and the root's segments to everybody (TreeAllreducePlan).
///
/// With buckets a range of the gradient is exchanged as soon as it is final, while backward goes on to the units before
/// it; else everything after backward.
///
/// Memory   deterministic: three flat gradients, and what arrives of n / P elements from each node.
/// Traffic  "allreduce" or "tree_allreduce" on the axis, one call a bucket; comm/closed_forms.hpp.
template <class Scalar>
class AllreduceExchange final : public nn::Exchange<Scalar> {
 public:
  /// All that is referred to must outlive this. Not collective, but in order.
  /// Throws   UsageError for buckets that do not cover the gradient.
  AllreduceExchange(const comm::Communicator& axis, const AllreduceExchangeOptions& options,
                    ConstVector<Scalar> parameters, const nn::FlatGradientSum<nn::Sum<Scalar>>& sum,
                    const nn::Division& division);

  const nn::Window<const Scalar>& weights(const Exec&, index_t) override { return weights_; }
  bool weights_stay() const override { return true; }
  void ready(const Exec& exec, Range range) override;
  void progress() override;
  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override {
    return (deterministic_ ? sum_.nodes() : 1) * sum_.size() * static_cast<index_t>(sizeof(Real));
  }
  nn::ExchangeBytes allocated() const override { return {.gradients = nn::bytes_of(tree_sum_)}; }
  ConstVector<nn::Sum<Scalar>> gradients() const override { return sum_.weights_of(summed()); }
  ConstVector<nn::Sum<Scalar>> statistics() const override { return sum_.statistics_of(summed()); }
  nn::OverlapTime take_overlap() override { return flights_.take_time(); }

 private:
  using Real = nn::Sum<Scalar>;
  ConstVector<Real> summed() const { return deterministic_ ? ConstVector<Real>(tree_sum_) : sum_.node(0); }
  template <class Call>
  void with_operands(int bucket, const Call& call) const;

  const comm::Communicator& axis_;
  AllreduceExchangeOptions options_;
  bool deterministic_, overlaps_;
  nn::Window<const Scalar> weights_;
  const nn::FlatGradientSum<Real>& sum_;
  Vector<Real> tree_sum_;  // deterministic mode
  Completion buckets_;
  std::vector<std::unique_ptr<comm::Plan<Real>>> plans_;  // of the buckets
  Flights flights_;
};

}  // namespace partita::parallel
