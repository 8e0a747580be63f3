// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/nn/update.hpp>
#include <partita/parallel/exchanges/allreduce.hpp>
#include <partita/parallel/exchanges/gathered_weights.hpp>
#include <partita/parallel/exchanges/sharded_gradients.hpp>

namespace partita::parallel {

/// What is sharded: the optimizer's state; gradients, too; weights, too. ZeRO 1, 2, 3.
enum class Sharding { optimizer, gradients, weights };

struct ShardedExchangeOptions {
  Sharding what = Sharding::optimizer;
  comm::Allreduce how = comm::Allreduce::mpi;  ///< MPI's own collectives, or ours (automatic: ours)
  bool overlap = false;                        ///< a group's gradient is exchanged while backward goes on
  ProgressMode progress = ProgressMode::test;
  bool separate_wait = true;  ///< without overlap: a barrier first, so that waiting for ranks is not taken for transfer
};

/// ZeRO (Rajbhandari et al. 2020): each rank updates its shard of the weights.
///
///                 gradients                                     weights
///     optimizer   reduce-scattered after, or during, backward   all-gathered after the update
///     gradients   in buckets, reduce-scattered for each         all-gathered after the update
///                 micro-batch as they become complete
///     weights     as gradients                                  gathered before a group of units runs, then given up
///
/// In deterministic mode whole tree nodes are kept instead of buckets, and their segments go to the owners at the end
/// (TreeReduceScatterPlan). Batch statistics are all-reduced.
///
/// Memory   with N ranks, s bytes a weight and 4 bytes a sum, and o bytes of optimizer state a weight (Adam: 8; with
///          master weights 12), each of n weights takes
///            optimizer   s + 4 + o/N        gradients   s + (4 + o)/N        weights   (s + 4 + o)/N
///          bytes; buckets and gathered groups come on top (ShardedGradients, GatheredWeights). Deterministic: nodes of
///          n sums each and the shard.
/// Traffic  fast mode, elements over all ranks: (N-1) n gradients (times micro-batches when gradients are sharded) and
///          (N-1) n weights, for weights: for each time that a group is gathered.
/// Source   S. Rajbhandari et al., ZeRO: memory optimizations toward training trillion parameter models, SC 2020.
template <class Scalar>
class ShardedExchange final : public nn::Exchange<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;

  /// The model has weights of its own but where they are sharded. All that is referred to must outlive this. Not
  /// collective, but in order.
  ShardedExchange(const comm::Communicator& axis, const ShardedExchangeOptions& options, nn::Model<Scalar>& model,
                  Shards shards, const nn::Division& division, std::uint64_t seed);

  /// What the gradient pass fills.
  nn::GradientSum<Real>& sum();
  /// What the update works on.
  nn::Ownership ownership() const;
  Vector<Scalar> updated_weights() const { return gathered_ ? gathered_->shard() : parameters_; }

  const nn::Window<const Scalar>& weights(const Exec&, index_t) override {
    if (!gathered_) return whole_;
    gathered_->begin();
    return gathered_->window();
  }
  bool weights_stay() const override { return gathered_ == nullptr; }
  bool reads_together() const override { return gathered_ != nullptr; }
  void reading(const Exec& exec, const nn::Moment& moment, std::span<const Range> reads,
               nn::Observer& observer) override {
    if (gathered_) gathered_->acquire(exec, reads, moment, observer);
  }
  void ready(const Exec& exec, Range range) override;
  void progress() override;
  void finish(const Exec& exec, nn::Observer& observer) override;
  index_t bytes() const override;
  nn::ExchangeBytes allocated() const override;
  ConstVector<Real> gradients() const override;
  ConstVector<Real> statistics() const override;
  void publish(const Exec& exec, nn::Observer& observer) override;
  nn::OverlapTime take_overlap() override;
  void visit_weights(const Exec& exec, const std::function<void(ConstVector<Scalar>)>& visit) override;

  const Shards& shards() const { return shards_; }

 private:
  bool in_buckets() const { return buckets_ != nullptr; }
  void launch(const Exec& exec, int group);
  void reduce_statistics(const Exec& exec);
  Vector<Real> flat_tail() const;

  const comm::Communicator& axis_;
  ShardedExchangeOptions options_;
  bool deterministic_;
  Shards shards_;
  index_t weights_count_, statistics_count_;
  Vector<Scalar> parameters_;
  nn::Window<const Scalar> whole_;

  // Gradients: in buckets, or whole.
  std::unique_ptr<ShardedGradients<Scalar>> buckets_;
  std::unique_ptr<nn::FlatGradientSum<Real>> flat_;
  Vector<Real> shard_, tree_statistics_;  // deterministic mode
  Completion complete_;
  std::vector<std::unique_ptr<comm::Plan<Real>>> reduces_;  // of the groups, where gradients are whole
  std::unique_ptr<comm::Plan<Real>> statistics_plan_;
  Flights flights_;

  // Weights: gathered after the update, or before units run.
  std::vector<std::unique_ptr<comm::AllGatherPlan<Scalar>>> gathers_;  // of the groups
  std::unique_ptr<GatheredWeights<Scalar>> gathered_;
};

/// Completes the squares of norm cells of which each rank has its own, by an all-reduce of zeros and them: the same
/// bits on every rank and for any shares.
/// Traffic  "allreduce" of 8 bytes a cell.
nn::CompleteSquares sum_of_squares(const comm::Communicator& axis, index_t cells);

}  // namespace partita::parallel
