// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include <partita/data/worker_sampler.hpp>
#include <partita/nn/train_step.hpp>
#include <partita/parallel/server/learner.hpp>
#include <partita/training/dataset.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// What a worker has of the data, where it is not its part of every batch.
struct WorkersData {
  std::vector<index_t> rows = {};  ///< of every batch, by worker; empty: even shares
  data::LabelSkew skew = {};
  /// Of a model whose table is cut down to the rows that a gradient touches: the whole one.
  parallel::server::SparseTable table = {};
};

/// The weights of a step are a window that somebody else has filled, and nobody updates them here.
template <class Scalar>
class PulledWeights final : public nn::Exchange<Scalar> {
 public:
  explicit PulledWeights(const nn::FlatGradientSum<nn::Sum<Scalar>>& sum) : sum_(&sum) {}
  /// For passes that make no gradient.
  explicit PulledWeights(const nn::Window<const Scalar>& window) : window_(window) {}

  void read(const nn::Window<const Scalar>& window) { window_ = window; }
  const nn::Window<const Scalar>& weights(const Exec&, index_t) override { return window_; }
  bool weights_stay() const override { return true; }
  void finish(const Exec&, nn::Observer&) override {}
  ConstVector<nn::Sum<Scalar>> gradients() const override { return sum_->weights_of(sum_->node(0)); }
  ConstVector<nn::Sum<Scalar>> statistics() const override { return sum_->statistics_of(sum_->node(0)); }
  void progress() override {
    if (between) between();
  }

  std::function<void()> between = {};  ///< after every unit of a pass; may throw, which ends the pass

 private:
  const nn::FlatGradientSum<nn::Sum<Scalar>>* sum_ = nullptr;
  nn::Window<const Scalar> window_;
};

/// Gradients of a model on a data set: worker w of W has its rows of every global batch, as replica w of W has in data
/// parallelism, and its gradient number c is that of batch c. A nn::TrainStep without an update; one model with one
/// slot serves all workers.
///
/// Of a sparse model it has the units over the rows that a gradient touches (`has.table`), which are numbered anew.
///
/// Memory   one gradient (deterministic mode: one for each worker), the rows of a batch.
template <class Scalar>
class ModelLearner final : public parallel::server::Learner<Scalar> {
 public:
  /// workers   Those whose gradients will be asked for, of W: all in one process, or one.
  /// All that is referred to must outlive this.
  /// Throws   UsageError when W workers cannot share a batch.
  ModelLearner(kernels::Context& context, const TrainOptions& train, const Dataset& data, nn::Model<Scalar>& model,
               const nn::LossHead<Scalar>& head, int W, const std::vector<int>& workers, const WorkersData& has = {});

  index_t keys() const override { return model_.table().size() + table_.size() - table_.most * table_.width; }
  parallel::server::SparseTable table() const override { return table_; }
  parallel::server::TouchedRows touched(int worker, index_t clock) override;
  index_t batch() const override { return train_.batch; }
  index_t labels() const override { return data_.shape().labels(); }
  index_t leaves() const override { return train_.deterministic ? divisions_.front().leaves : 0; }
  std::vector<Node> cover(int worker) const override;
  index_t samples(int worker) const override { return divisions_[static_cast<std::size_t>(worker)].rows.extent; }
  parallel::server::Gradient<Scalar> gradient(int worker, index_t clock,
                                              const nn::Window<const Scalar>& weights) override;

  /// Who is told of the moments of gradients; nobody at first.
  void observe(nn::Observer* observer) { observer_ = observer == nullptr ? &nobody_ : observer; }
  /// Called after every unit; what it throws ends the gradient.
  void between_units(const std::function<void()>& call);

 private:
  struct Worker {
    Worker(kernels::Context& context, const TrainOptions& train, nn::Model<Scalar>& model,
           const nn::LossHead<Scalar>& head, const nn::Division& division,
           nn::FlatGradientSum<nn::Sum<Scalar>>& gradient);
    nn::FlatGradientSum<nn::Sum<Scalar>>& sum;
    nn::GradientPass<Scalar> pass;
    PulledWeights<Scalar> exchange;
    nn::TrainStep<Scalar> step;
  };

  kernels::Context& context_;
  const TrainOptions& train_;
  const Dataset& data_;
  nn::Model<Scalar>& model_;
  parallel::server::SparseTable table_;
  std::vector<nn::Division> divisions_;  // of all W
  std::deque<nn::FlatGradientSum<nn::Sum<Scalar>>> sums_;
  std::vector<std::unique_ptr<Worker>> workers_;  // of W; null: not here
  void read(int worker, index_t clock, const Rows<Scalar>& rows);
  /// On the host.
  std::vector<std::int32_t> tokens_of(const Rows<Scalar>& rows) const;
  void renumber(const Rows<Scalar>& rows) const;

  Rows<Scalar> rows_;
  std::unique_ptr<data::WorkerSampler> skewed_;  // null: all are alike
  std::vector<index_t> samples_;                 // of a gradient
  Vector<index_t> device_samples_;
  Vector<double> device_losses_;
  std::vector<double> losses_;
  Kokkos::View<double, Memory> no_norm_;
  nn::Observer nobody_;
  nn::Observer* observer_ = &nobody_;
};

}  // namespace partita::training
