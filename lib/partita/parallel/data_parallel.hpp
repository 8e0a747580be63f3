// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <partita/core/named.hpp>
#include <partita/nn/train_step.hpp>
#include <partita/parallel/exchanges/gather_broadcast.hpp>
#include <partita/parallel/exchanges/local_sgd.hpp>
#include <partita/parallel/exchanges/sharded.hpp>

namespace partita::parallel {

/// The strategies of synchronous data parallelism, by what each rank keeps and what travels when.
enum class Strategy { allreduce, gather_broadcast, zero1, zero2, zero3, local_sgd };
inline constexpr Named<Strategy> strategies[] = {
    {"allreduce", Strategy::allreduce}, {"gather_broadcast", Strategy::gather_broadcast},
    {"zero1", Strategy::zero1},         {"zero2", Strategy::zero2},
    {"zero3", Strategy::zero3},         {"local_sgd", Strategy::local_sgd}};
inline constexpr Named<MeanNorm> mean_norms[] = {
    {"never", MeanNorm::never}, {"average", MeanNorm::average}, {"always", MeanNorm::always}};
inline constexpr Named<ProgressMode> progress_modes[] = {{"none", ProgressMode::none}, {"test", ProgressMode::test}};

struct DataParallelOptions {
  Strategy strategy = Strategy::allreduce;
  comm::Allreduce how = comm::Allreduce::mpi;
  /// What is exchanged at once, while backward goes on; 0: everything at the end (allreduce, zero1), or each unit on
  /// its own (zero2, zero3).
  index_t bucket_bytes = 0;
  ProgressMode progress = ProgressMode::test;
  bool separate_wait = true;               ///< without buckets: a barrier first
  index_t local_steps = 1;                 ///< local_sgd: H
  bool average_state = false;              ///< local_sgd
  MeanNorm mean_norm = MeanNorm::average;  ///< local_sgd

  /// Whether the model keeps its weights: ModelOptions::weights.
  bool whole_weights() const { return strategy != Strategy::zero3; }
  /// "allreduce/ring", "zero2/mpi/buckets".
  std::string text() const;
};

/// Bytes that a rank has for the weights, their gradients and the optimizer's state; without messages on their way.
struct StrategyBytes {
  index_t weights = 0, gradients = 0, optimizer = 0;
  friend bool operator==(const StrategyBytes&, const StrategyBytes&) = default;
};

/// What DataParallel and its update allocate, and the model's weights and running statistics. Pure arithmetic; beyond
/// 2^33 weights an estimate with even shares.
///
/// units    of the model, in the order of their numbers
template <class Scalar>
StrategyBytes strategy_bytes(const DataParallelOptions& options, const nn::Tables& tables,
                             const std::vector<const nn::Unit<Scalar>*>& units, int ranks, int rank,
                             const nn::Division& division, const kernels::OptimizerOptions& rule);

/// The parts of a training step that a strategy chooses: where gradients are summed, the exchange, and what of the
/// weights this rank updates.
template <class Scalar>
class DataParallel {
 public:
  /// The model is made with options.whole_weights(). All that is referred to must outlive this. Not collective, but in
  /// order.
  DataParallel(const comm::Communicator& axis, const DataParallelOptions& options, nn::Model<Scalar>& model,
               const nn::Division& division, std::uint64_t seed);

  nn::GradientSum<nn::Sum<Scalar>>& sum() { return *sum_; }
  nn::Exchange<Scalar>& exchange() { return *exchange_; }
  /// Where ranks of another axis hold other parts of the model: what completes the norm over them. all-reduce alone,
  /// whose ranks have all squares of their part.
  void complete_with(nn::CompleteSquares complete) { complete_ = std::move(complete); }
  /// Where another rank updates a range of the flat weights that is here as a copy: this one leaves it alone, and
  /// counts nothing of it in the norm. all-reduce alone, and before make_update.
  void leave_out(Range copy);
  /// all-reduce in fast mode: the gradient that exchange() leaves, to be written.
  Vector<nn::Sum<Scalar>> flat_gradient() const { return flat_->node(0); }
  /// To be called once.
  std::unique_ptr<nn::Update<Scalar>> make_update(const Exec& exec, const nn::UpdateOptions& options);
  /// Of this rank: what is allocated, and by the closed form.
  StrategyBytes allocated(const nn::Update<Scalar>& update) const;
  StrategyBytes bytes(const kernels::OptimizerOptions& rule) const;

 private:
  const comm::Communicator& axis_;
  DataParallelOptions options_;
  nn::Division division_;
  nn::Model<Scalar>& model_;
  std::unique_ptr<nn::FlatGradientSum<nn::Sum<Scalar>>> flat_;
  std::unique_ptr<nn::Exchange<Scalar>> exchange_;
  nn::GradientSum<nn::Sum<Scalar>>* sum_ = nullptr;  // flat_, or that of exchange_
  LocalSgdExchange<Scalar>* local_ = nullptr;        // exchange_, which averages what the update keeps

  // What the update works on.
  nn::Ownership owned_;
  bool leaves_out_ = false;  // a copy
  Vector<Scalar> updated_;
  nn::CompleteSquares complete_;
};

}  // namespace partita::parallel
