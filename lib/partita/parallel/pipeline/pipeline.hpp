// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/nn/gradient_pass.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/pipeline/links.hpp>
#include <partita/parallel/pipeline/tied_table.hpp>

namespace partita::parallel {

/// A model cut into stages, which rank of the axis has each, and what the ranks do in a step.
struct PipelinePlan {
  std::vector<nn::Actions> schedule;  ///< of each rank
  std::vector<int> rank_of_stage;
  std::vector<index_t> layers;  ///< of each stage
  std::string tied = {};        ///< the tensor of the first stage that the last one reads, too; empty: none

  int ranks() const { return static_cast<int>(schedule.size()); }
  int stages() const { return static_cast<int>(rank_of_stage.size()); }
  /// nn::Model's: the first layers of the stages behind the first one; the stages of a rank.
  std::vector<index_t> cuts() const;
  std::vector<int> stages_of(int rank) const;
};

/// An exchange over replicas of a rank's stages, then a barrier of the pipeline's ranks unless steps follow each other.
template <class Scalar>
class PipelineExchange final : public nn::ExchangeAround<Scalar> {
 public:
  PipelineExchange(nn::Exchange<Scalar>& inner, const comm::Communicator& axis, bool step_barrier, ActionClock& times)
      : nn::ExchangeAround<Scalar>(inner), axis_(axis), step_barrier_(step_barrier), times_(times) {}

  void finish(const Exec& exec, nn::Observer& observer) override;

 private:
  const comm::Communicator& axis_;
  bool step_barrier_;
  ActionClock& times_;
};

/// The parts of a training step whose model is cut into stages over the ranks of an axis, replicas of which share the
/// rows of each batch: the links between the stages, a data-parallel exchange of what this rank holds, and the norm of
/// all of it.
///
///     rank 0  F0 F1 F2 F3 .. B0 .. B1 B2 B3      1F1B of two stages
///     rank 1  .. F0 B0 F1 B1 F2 B2 F3 B3 ..
///
/// Without a barrier at the end of a step a rank goes on to the next one when its own weights are updated; what update
/// leaves as the norm is then that of this rank's gradient alone.
template <class Scalar>
class Pipeline {
 public:
  /// `model` has the stages of this rank; `whole` is the table of all of it. All but `whole` that is referred to must
  /// outlive this. Collective over the axis.
  /// Throws   UsageError for another strategy than all-reduce where there are stages of other ranks.
  Pipeline(const comm::Communicator& replicas, const comm::Communicator& axis, int world_rank, PipelinePlan plan,
           bool step_barrier, const DataParallelOptions& options, nn::Model<Scalar>& model,
           const nn::ParameterTable& whole, const nn::Division& division, std::uint64_t seed);

  const PipelinePlan& plan() const { return plan_; }
  const comm::Communicator& axis() const { return axis_; }
  const nn::Actions& actions() const { return plan_.schedule[static_cast<std::size_t>(axis_.rank())]; }
  nn::Links<Scalar>& links() { return links_; }
  nn::GradientSum<nn::Sum<Scalar>>& sum() { return tied_ ? tied_->sum() : replicas_.sum(); }
  nn::Exchange<Scalar>& exchange() { return exchange_; }
  bool step_barrier() const { return step_barrier_; }
  /// To be called once.
  std::unique_ptr<nn::Update<Scalar>> make_update(const Exec& exec, const nn::UpdateOptions& options) {
    return replicas_.make_update(exec, options);
  }
  /// Of this rank: what is allocated, and by the closed form.
  StrategyBytes allocated(const nn::Update<Scalar>& update) const;
  StrategyBytes bytes(const kernels::OptimizerOptions& rule) const;
  index_t message_bytes() const { return links_.allocated(); }
  index_t expected_message_bytes() const;

  /// Links of a pass that goes forward alone, for these actions of this rank: not counted as traffic.
  std::unique_ptr<nn::Links<Scalar>> forward_links(const nn::Actions& actions, const nn::Division& division) const;
  /// forward_only over the stages of this rank.
  nn::Actions forward_actions(index_t micro_batches) const;

  /// From every rank of the axis the value of the one that has the last stage.
  template <class T>
  void from_last_stage(T& value) const {
    axis_.broadcast(value, plan_.rank_of_stage.back());
  }

  /// Where the time of the steps goes that begin after time_steps(true).
  void time_steps(bool counts) { links_.time_steps(counts); }
  const ActionClock& times() const { return times_; }

 private:
  const comm::Communicator& axis_;
  comm::Communicator messages_, forward_messages_;
  PipelinePlan plan_;
  StagePlaces places_;
  nn::Model<Scalar>& model_;
  nn::Division division_;
  bool step_barrier_;
  ActionClock times_;
  PipelineLinks<Scalar> links_;
  DataParallel<Scalar> replicas_;
  std::unique_ptr<TiedTable<Scalar>> tied_;  // if any stages share one
  PipelineExchange<Scalar> exchange_;
};

/// bits_hash of the whole model's weights, stage after stage and without copies: the same for any placement. Collective
/// over the axis; fences; not for a timed step.
template <class Scalar>
std::uint64_t hash_of_stages(const comm::Communicator& axis, const PipelinePlan& plan, const nn::Model<Scalar>& model);

}  // namespace partita::parallel
