// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/pipeline.hpp>

#include <utility>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/replicas.hpp>
#include <partita/parallel/separate_wait.hpp>
#include <partita/parallel/tensor/exchange.hpp>

namespace partita::parallel {

std::vector<index_t> PipelinePlan::cuts() const {
  std::vector<index_t> first;
  index_t at = 0;
  for (std::size_t s = 0; s + 1 < layers.size(); ++s) first.push_back(at += layers[s]);
  return first;
}

std::vector<int> PipelinePlan::stages_of(int rank) const {
  std::vector<int> mine;
  for (int s = 0; s < stages(); ++s)
    if (rank_of_stage[static_cast<std::size_t>(s)] == rank) mine.push_back(s);
  return mine;
}

template <class Scalar>
void PipelineExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  // Gradients of a stage travel while other stages still compute: the replicas of this one are done together.
  nn::ExchangeAround<Scalar>::finish(exec, observer);
  if (step_barrier_) separate_wait(axis_, exec, observer);
  times_.end_step();
}

template <class Scalar>
Pipeline<Scalar>::Pipeline(const comm::Communicator& replicas, const comm::Communicator& axis, int world_rank,
                           PipelinePlan plan, bool step_barrier, const DataParallelOptions& options,
                           nn::Model<Scalar>& model, const nn::ParameterTable& whole, const nn::Division& division,
                           std::uint64_t seed)
    : axis_(axis),
      messages_(axis.duplicate(axis.name())),
      forward_messages_(axis.duplicate(axis.name())),
      plan_(std::move(plan)),
      places_{plan_.rank_of_stage, axis.allgather(world_rank)},
      model_(model),
      division_(division),
      step_barrier_(step_barrier),
      times_(std::ssize(actions())),
      links_(messages_, places_, model, actions(), division, true, &times_),
      replicas_(replicas, options, model, division, seed),
      tied_(plan_.tied.empty() || plan_.stages() == 1
                ? nullptr
                : std::make_unique<TiedTable<Scalar>>(axis, plan_.schedule, plan_.rank_of_stage, plan_.tied, model,
                                                      division, replicas_.sum(), replicas_.exchange(), times_)),
      exchange_(tied_ ? tied_->exchange() : replicas_.exchange(), axis, step_barrier, times_) {
  if (plan_.ranks() == 1) return;
  if (options.strategy != Strategy::allreduce)
    refuse<UsageError>("pipeline", std::string(name_of(strategies, options.strategy)),
                       "parallel.strategy = \"allreduce\" where a rank has some of the stages");
  const Range copy = tied_ ? tied_->copy() : Range{0, 0};
  if (copy.extent > 0) replicas_.leave_out(copy);
  if (step_barrier)
    replicas_.complete_with(split_squares(
        axis, model.table(), division.leaves > 0 ? &whole : nullptr,
        [&](const nn::Parameter& parameter) { return copy.extent == 0 || parameter.range.offset != copy.offset; }));
}

template <class Scalar>
StrategyBytes Pipeline<Scalar>::allocated(const nn::Update<Scalar>& update) const {
  StrategyBytes bytes = replicas_.allocated(update);
  if (tied_) bytes.gradients += tied_->allocated();
  return bytes;
}

template <class Scalar>
StrategyBytes Pipeline<Scalar>::bytes(const kernels::OptimizerOptions& rule) const {
  StrategyBytes bytes = replicas_.bytes(rule);
  if (tied_) bytes.gradients += tied_->bytes();
  return bytes;
}

template <class Scalar>
index_t Pipeline<Scalar>::expected_message_bytes() const {
  return PipelineLinks<Scalar>::bytes(places_, model_, actions(), division_);
}

template <class Scalar>
std::unique_ptr<nn::Links<Scalar>> Pipeline<Scalar>::forward_links(const nn::Actions& actions,
                                                                   const nn::Division& division) const {
  return std::make_unique<PipelineLinks<Scalar>>(forward_messages_, places_, model_, actions, division, false, nullptr);
}

template <class Scalar>
nn::Actions Pipeline<Scalar>::forward_actions(index_t micro_batches) const {
  nn::Actions mine;
  for (const nn::Action& action : nn::forward_only(micro_batches, plan_.stages()))
    if (model_.has_stage(action.stage)) mine.push_back(action);
  return mine;
}

template <class Scalar>
std::uint64_t hash_of_stages(const comm::Communicator& axis, const PipelinePlan& plan, const nn::Model<Scalar>& model) {
  std::uint64_t hash = hash_of_nothing;
  for (int s = 0; s < plan.stages(); ++s) {
    const int owner = plan.rank_of_stage[static_cast<std::size_t>(s)];
    if (axis.rank() == owner) {
      Range all = model.parameters_of(s), rest = {all.end(), 0};
      const Range copy = tied_copy(plan.rank_of_stage, s + 1 == plan.stages() ? owner : -1, plan.tied, model.table());
      if (copy.extent > 0) {
        rest = {copy.end(), all.end() - copy.end()};
        all.extent = copy.offset - all.offset;
      }
      for (const Range& range : {all, rest}) hash = bits_hash<Scalar>(part(model.parameters(), range), hash);
    }
    axis.broadcast(hash, owner);
  }
  return hash;
}

#define PARTITA_PIPELINE(S)           \
  template class PipelineExchange<S>; \
  template class Pipeline<S>;         \
  template std::uint64_t hash_of_stages(const comm::Communicator&, const PipelinePlan&, const nn::Model<S>&);
PARTITA_PIPELINE(float)
PARTITA_PIPELINE(double)
PARTITA_PIPELINE(bfloat16)
PARTITA_PIPELINE(float16)
#undef PARTITA_PIPELINE

}  // namespace partita::parallel
