// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <vector>

#include <partita/kernels/loss_scale.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/nn/memory.hpp>
#include <partita/nn/model.hpp>
#include <partita/nn/ownership.hpp>

namespace partita::nn {

/// What becomes of a step whose gradient is not finite: it is done, and whoever looks is told (not_finite()); or it
/// changes nothing. A model in fp16 skips it in any case, and halves its loss scale.
enum class NotFinite { stop, skip };

struct UpdateOptions {
  kernels::OptimizerOptions optimizer = {};
  double learning_rate = 1e-3;
  double clip_norm = 0;                       ///< largest norm of a step's gradient; 0: not clipped
  kernels::LossScaleOptions loss_scale = {};  ///< of models in fp16
  double momentum = 0.1;                      ///< weight of a batch in the running statistics
  NotFinite not_finite = NotFinite::stop;
};

/// Completes, over the ranks that share a model's weights, the sums of squares of its norm cells: each rank comes with
/// one number for each cell of its table, zero but for those that it owns (cells_of). Returns numbers whose sum is that
/// of the whole model, the same in the same order on all ranks: they have the same norm, bit for bit, and scale, skip
/// and clip alike.
using CompleteSquares = std::function<ConstVector<double>(const Exec&, Vector<double> squares)>;

/// What an update keeps of each weight that it owns: the weight itself (the master weight where models have 16 bits)
/// and the buffers of its rule.
enum class Kept { weights, m, v };

/// Whether an update with this rule keeps such values at all: of a rule without buffers weights alone.
bool keeps(const kernels::OptimizerOptions& rule, Kept what);

/// What it keeps beside: how far the rule is, and the loss scale of models in fp16.
struct UpdateCounters {
  index_t step = 0;
  kernels::LossScaleState loss_scale = {};
};

/// From the gradient of a global batch to new weights: unscale, skip, clip, the optimizer's rule; then the running
/// statistics move towards the batch's. In fp16 a step whose gradient is not finite changes nothing but the loss scale.
///
/// A rank may own a part of the weights, or none. Norm, loss scale and running statistics are those of the whole model
/// on every rank; weights and the rule's buffers are updated in the owned ranges, to the same bits as without shares.
///
/// Memory   the rule's buffers, and master weights for models of 16 bits, as long as the owned weights; one double for
///          each cell of the norm, and a description of each that is owned. A step allocates nothing and does not
///          fence.
template <class Scalar>
class Update {
 public:
  /// Of all of the model's weights. Enqueued; allocates.
  Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model);
  /// Of the owned ones, which lie in `weights` (as ownership.weights says) from the start.
  /// Throws   UsageError for ranges that are not ascending or cut a norm cell; ShapeError when `weights` is too short.
  Update(const Exec& exec, const UpdateOptions& options, const Model<Scalar>& model, const Ownership& ownership,
         Vector<Scalar> weights, CompleteSquares complete = {});

  /// For the steps from here on. Enqueued; no allocation.
  void set_learning_rate(const Exec& exec, double rate) const;

  /// Ranges of the flat weights that are owned, ascending.
  const std::vector<Range>& owned() const { return owned_; }
  bool keeps(Kept what) const { return nn::keeps(options_.optimizer, what); }

  /// What is kept of those of `range` of the flat weights that are owned becomes these values. Weights are rounded once
  /// where they have 16 bits, and whole in the master weights.
  ///
  /// Shapes   values (range.extent).
  /// Runs     enqueued; for the time before the first step.
  /// Throws   ShapeError for another number of values.
  void set(const Exec& exec, Kept what, Range range, ConstVector<Sum<Scalar>> values) const;
  /// The same as it is, on the host: owned ranges one after the other. Fences; not for a timed step.
  std::vector<Sum<Scalar>> get(const Exec& exec, Kept what, Range range) const;
  void set_counters(const Exec& exec, const UpdateCounters& counters) const;
  UpdateCounters counters(const Exec& exec) const;

  /// The first cell of the norm, in the order of squares that are complete, whose gradient was not finite in the first
  /// step where one was not; -1: none was. Fences.
  index_t not_finite(const Exec& exec) const;

  /// The factor of the next step's loss in device memory; empty but in fp16.
  Kokkos::View<const double, Memory> loss_scale() const;
  kernels::LossScaleView loss_scale_state() const { return loss_scale_; }

  /// Shapes   gradients: sums over the batch, of the owned ranges, as ownership.gradients says; statistics
  ///          (statistics): those of the batch   ->   the owned weights and the model's running statistics, updated;
  ///          norm (), overwritten: that of the whole gradient, unscaled, before clipping.
  /// Runs     enqueued, but for what complete() waits for; collective where that is.
  /// Throws   ShapeError when a view is too short.
  void run(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, ConstVector<Sum<Scalar>> statistics,
           Kokkos::View<double, Memory> norm) const;

  /// After run, for a gradient that is added up for its norm alone. unscaled: g *= factor and without this rank's loss
  /// scale; norm (), overwritten: that of a gradient without scale. Enqueued as run is.
  void unscale(const Exec& exec, double factor, Vector<Sum<Scalar>> gradients) const;
  void norm(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, Kokkos::View<double, Memory> norm) const;

  /// The rule's buffers and the master weights: owned ranges one after the other; empty where there is none.
  Vector<Sum<Scalar>> m() const { return m_; }
  Vector<Sum<Scalar>> v() const { return v_; }
  Vector<Sum<Scalar>> master() const { return master_; }

  /// Bytes of what it has allocated.
  index_t allocated() const {
    return bytes_of(m_, v_, master_, cells_, squares_, state_, loss_scale_, sum_, not_finite_);
  }
  /// The same in advance: bytes that an update of `owned` weights, in `owned_cells` of the model's `cells`, allocates.
  static std::size_t bytes(const kernels::OptimizerOptions& optimizer, index_t owned, index_t cells,
                           index_t owned_cells);
  /// Of all weights.
  static std::size_t bytes(const kernels::OptimizerOptions& optimizer, index_t parameters, index_t cells) {
    return bytes(optimizer, parameters, cells, cells);
  }

 private:
  static constexpr bool scales_loss = std::is_same_v<Scalar, float16>;  // bfloat16 has the exponents of float
  bool skips() const { return scales_loss || options_.not_finite == NotFinite::skip; }
  static constexpr bool has_master = !std::is_same_v<Sum<Scalar>, Scalar>;

  // Owned weights that are adjacent: where they begin in the gradient, among the weights and in the rule's buffers.
  struct Part {
    index_t gradients = 0, weights = 0, state = 0, extent = 0;
  };
  // Consecutive cells, where their squares go, and the weights that are complete with them.
  struct Block {
    Range cells;
    index_t squares;
    Part part;
  };
  // Calls f(range of the flat weights, where it begins among the weights, and in the rule's buffers).
  template <class F>
  void for_each_owned(Range range, F f) const;
  Vector<Sum<Scalar>> buffer(Kept what) const;  // as long as the owned weights; empty: weights_ have the values
  void plan(const Ownership& ownership, const std::vector<kernels::NormCell>& cells);
  void plan_run(const Part& part, std::span<const kernels::NormCell> cells, index_t first, index_t squares);
  void square(kernels::Context& context, ConstVector<Sum<Scalar>> gradients, const Block& block) const;
  void optimize(const Exec& exec, ConstVector<Sum<Scalar>> gradients, const Part& part) const;
  void total(const Exec& exec) const;

  UpdateOptions options_;
  CompleteSquares complete_;
  Vector<Scalar> weights_;
  Vector<Sum<Scalar>> running_;
  kernels::OptimizerStateView state_;
  kernels::LossScaleView loss_scale_;
  Vector<Sum<Scalar>> m_, v_, master_;
  Vector<kernels::NormCell> cells_;  // the owned ones, as they lie in the gradient
  Vector<double> squares_;           // of all cells
  std::vector<Range> owned_;         // of the flat weights
  std::vector<Part> parts_;          // the owned ranges, where they lie
  std::vector<Block> blocks_;        // all owned cells, in order
  index_t gradients_ = 0;            // shortest gradient
  Kokkos::View<double, Memory> sum_;
  Kokkos::View<index_t, Memory> not_finite_;
};

}  // namespace partita::nn
