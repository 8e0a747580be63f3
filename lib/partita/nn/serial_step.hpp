// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/train_step.hpp>

namespace partita::nn {

struct SerialOptions {
  UpdateOptions update = {};
  kernels::Loss loss = kernels::Loss::cross_entropy;
  index_t micro_batches = 1;
  index_t chunks = 0;  ///< of the batch, in deterministic mode; 0: fast mode
  std::uint64_t seed = 1;
};

/// The training step of one rank alone, its parts plugged together: what every strategy is compared with.
template <class Scalar>
class SerialStep {
 public:
  /// For batches of `rows` rows. All that is referred to must outlive this.
  SerialStep(kernels::Context& context, Model<Scalar>& model, index_t rows, const SerialOptions& options = {})
      : division_(divide(rows, 1, 0, options.micro_batches, options.chunks)),
        sum_(model.table().size(), model.statistics_table().size(), division_),
        head_(options.loss, model),
        links_(model),
        pass_(model, division_, in_turn(options.micro_batches, model.stage_count()), head_, &sum_, &links_),
        exchange_(model.parameters(), sum_),
        update_(context.exec(), options.update, model),
        step_(context, pass_, exchange_, &update_, options.seed),
        losses("partita::nn::SerialStep::losses", static_cast<std::size_t>(division_.pieces.size())) {}
  SerialStep(const SerialStep&) = delete;
  SerialStep& operator=(const SerialStep&) = delete;

  /// Leaves the loss of each piece in `losses`, the gradient's norm in `norm`.
  void run(const Batch<Scalar>& batch, Observer& observer) { step_.run(batch, next_++, losses, norm, observer); }
  void run(const Batch<Scalar>& batch) {
    Observer nobody;
    run(batch, nobody);
  }

  const GradientPass<Scalar>& pass() const { return pass_; }
  const Update<Scalar>& update() const { return update_; }
  /// Of the batch of the last step.
  ConstVector<Sum<Scalar>> gradients() const { return exchange_.gradients(); }
  ConstVector<Sum<Scalar>> statistics() const { return exchange_.statistics(); }

 private:
  Division division_;
  FlatGradientSum<Sum<Scalar>> sum_;
  WholeRows<Scalar> head_;
  Links<Scalar> links_;
  GradientPass<Scalar> pass_;
  NoExchange<Scalar> exchange_;
  Update<Scalar> update_;
  TrainStep<Scalar> step_;
  index_t next_ = 0;

 public:
  Vector<double> losses;  ///< (pieces)
  Kokkos::View<double, Memory> norm{"partita::nn::SerialStep::norm"};
};

}  // namespace partita::nn
