// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/metrics/phase_timer.hpp>
#include <partita/nn/flat_optimizer.hpp>
#include <partita/nn/model.hpp>
#include <vector>

namespace partita::parallel {

struct DataParallelOptions {
  index_t batch = 256;                               ///< global batch B
  comm::Allreduce allreduce = comm::Allreduce::mpi;  ///< how gradients travel
  bool deterministic = false;                        ///< the same bits on any number of ranks (DESIGN.md section 6)
  index_t chunks = 24;                               ///< leaves of the deterministic sum over the batch
  bool separate_wait =
      true;  ///< a barrier ahead of the all-reduce, so that waiting for ranks is not taken for transfer
  kernels::Loss loss = kernels::Loss::cross_entropy;
  index_t planned_rows = 0;  ///< activations for at least so many rows: what an evaluation needs
};

/// Training with replicated weights: every rank holds the whole model and a share of each batch.
///
///     g = 1/B sum_b dloss(x_b, y_b; w)/dw      summed over my rows, then over ranks by all-reduce;   w <- optimizer(w,
///     g)
///
/// Shares of the batch may be uneven: each row weighs 1/B of the global batch, so the mean is exact. In deterministic
/// mode the batch is cut into chunks, ranks hold whole chunks, and chunk gradients are added as one binary tree.
///
/// Memory   fast: nothing beside the model; deterministic: about 2 log2(chunks) flat gradients.
/// Traffic  fast: one all-reduce of the flat gradient a step; deterministic: TreeAllreduce.
template <class Scalar>
class DataParallel {
 public:
  /// Plans the model's activations for my rows. Throws UsageError when the batch or the chunks are fewer than the
  /// ranks.
  DataParallel(nn::Model<Scalar>& model, kernels::Context& context, const comm::Communicator& data,
               const DataParallelOptions& options, nn::FlatOptimizer<Scalar> optimizer);

  /// My rows of every global batch.
  Slice rows() const { return rows_; }
  /// How many partial losses a step leaves on this rank: 1, or my chunks.
  index_t loss_terms() const { return static_cast<index_t>(chunk_rows_.size()); }
  /// Rows that the largest pass of the model takes.
  index_t largest_pass() const;

  /// For the steps from here on. Enqueued; no allocation.
  void set_learning_rate(double rate) const { optimizer_.set_learning_rate(context_.exec(), rate); }

  /// One training step on my rows.
  ///
  /// Shapes   x (rows, inputs)   label (rows)   ->   losses (loss_terms): sums over my rows, or over each of my chunks.
  /// Runs     collective over the data axis; no allocation; the all-reduce fences.
  void train_step(ConstMatrix<Scalar> x, ConstVector<std::int32_t> label, Vector<double> losses,
                  metrics::PhaseTimer& timer);

  /// Forward and loss only; communicates nothing. Same shapes.
  void infer_step(ConstMatrix<Scalar> x, ConstVector<std::int32_t> label, Vector<double> losses,
                  metrics::PhaseTimer& timer);

  /// The mean loss of a step from the terms of all ranks in rank order.
  double mean_loss(std::span<const double> terms) const;

  /// The summed gradient of the last train_step, the same on all ranks.
  ConstVector<Scalar> gradients() const { return tree_ ? tree_->result() : model_.gradients(); }

  /// Whether all ranks hold the same parameters bit for bit: true on all ranks or on none. Collective; not for a timed
  /// step.
  bool replicas_agree() const;

 private:
  void backpropagate(std::size_t chunk, ConstMatrix<Scalar> x, ConstVector<std::int32_t> label, Vector<double> losses,
                     Vector<Scalar> gradients, metrics::PhaseTimer& timer);
  void sum_node(Node node, std::size_t depth, ConstMatrix<Scalar> x, ConstVector<std::int32_t> label,
                Vector<double> losses, Vector<Scalar> sum, metrics::PhaseTimer& timer);

  nn::Model<Scalar>& model_;
  kernels::Context& context_;
  const comm::Communicator& data_;
  DataParallelOptions options_;
  nn::FlatOptimizer<Scalar> optimizer_;
  Slice rows_;
  std::vector<Slice> chunk_rows_;  // of the rows I hold, in order; one entry in fast mode
  index_t first_chunk_ = 0;
  std::unique_ptr<comm::AllreducePlan<Scalar>> plan_;  // fast mode
  std::unique_ptr<comm::TreeAllreduce<Scalar>> tree_;  // deterministic mode
  std::vector<Vector<Scalar>> partial_;                // by depth: the right-hand child's sum while the left one waits
};

}  // namespace partita::parallel
