// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/footprint.hpp>

#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/float16.hpp>
#include <partita/parallel/tensor/memory.hpp>
#include <partita/parallel/tensor/slices.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/stream_input.hpp>

namespace partita::training {
namespace {

// What a record may hold at most; more are refused where the record is made.
constexpr index_t most_steps = index_t{1} << 26;

template <class Scalar>
double row_bytes(const Dataset& data) {
  const SampleShape& shape = data.shape();
  const double sample = shape.tokens > 0 ? static_cast<double>(shape.tokens) * sizeof(std::int32_t)
                                         : static_cast<double>(data.features().extent) * sizeof(Scalar);
  return sample + static_cast<double>(shape.labels()) * sizeof(std::int32_t);
}

// Keys and values that inference in two parts keeps, and what its first part has room for: the share of whole rows that
// its tokens are.
template <class Scalar>
double decoding_bytes(const TrainOptions& train, const ModelOptions& model, const SampleShape& sample,
                      const nn::Division& division, const nn::Stage<Scalar>& stage,
                      const parallel::TensorAxis<Scalar>* axis) {
  if (train.mode != Mode::infer || !model.language() || train.decode == 0) return 0;
  const int parts = axis == nullptr ? 1 : axis->ranks().size(), mine = axis == nullptr ? 0 : axis->ranks().rank();
  const nn::GptShape shape = gpt_shape(model, sample);
  const index_t heads =
      parts > 1 ? parallel::gpt_slices(shape, train.model().chunks, false, parts, mine).heads.extent : shape.H;
  const index_t numbers =
      checked_product(checked_product(2 * shape.blocks, division.rows.extent * shape.T), heads * (shape.C / shape.H));
  const nn::StagePlan slots{.rows = division.largest_piece(), .pieces = division.most_pieces()};
  const double prompt = static_cast<double>(shape.T - train.decode) / static_cast<double>(shape.T);
  return static_cast<double>(numbers) * sizeof(Scalar) + prompt * static_cast<double>(stage.bytes(slots));
}

}  // namespace

template <class Scalar>
std::vector<driver::MemoryNeed> memory_needs(const TrainOptions& train, const ModelOptions& model, const Dataset& data,
                                             const nn::Division& division,
                                             const parallel::DataParallelOptions& strategy, int ranks, int rank,
                                             bool keeps_record, const Splits<Scalar>& over,
                                             const StagesOfRank& stages) {
  if (const auto problem = find_extent_problem(model, data.shape(), train.batch))
    refuse<UsageError>(problem->key, problem->found, problem->expected);
  const ModelPlan<Scalar> plan = plan_model<Scalar>(model, data.shape(), train.model(), over);
  const nn::ModelOptions how = train.model().without_weights();
  const nn::Model<Scalar> here =
      stages.plan == nullptr
          ? plan.make(how)
          : nn::Model<Scalar>(plan.layers, plan.output, how, stages.plan->cuts(), stages.plan->stages_of(stages.rank));

  const bool trains = train.mode == Mode::train;
  const parallel::StrategyBytes kept = parallel::strategy_bytes<Scalar>(strategy, here.tables(), here.units(), ranks,
                                                                        rank, division, train.update.optimizer);
  index_t tied = 0;
  if (stages.plan != nullptr && stages.plan->stages() > 1 && !stages.plan->tied.empty()) {
    const parallel::PipelinePlan& of = *stages.plan;
    const index_t buffers = parallel::tied_buffers(of.schedule, of.rank_of_stage, stages.rank, division);
    if (buffers > 0) tied = checked_product(here.table().at(of.tied).range.extent, buffers);
  }
  const index_t evaluated = std::min(evaluation_rows, data.held_out_samples());
  std::size_t activations = 0;
  for (const nn::Stage<Scalar>& stage : here.stages()) {
    nn::StagePlan slots{.rows = division.largest_piece(), .pieces = division.most_pieces()};
    if (stages.plan != nullptr) {
      const auto& actions = stages.plan->schedule[static_cast<std::size_t>(stages.rank)];
      const parallel::StageBuffers n =
          parallel::stage_buffers(actions, stage.number(), std::ssize(division.micro_batches));
      slots.slots = n.slots;
      slots.pending = n.pending;
      slots.gradients = n.gradients;
    }
    activations += stage.bytes({slots, evaluation_plan(data.held_out_samples())});
  }
  const auto of = [](auto count, std::size_t bytes) { return static_cast<double>(count) * static_cast<double>(bytes); };
  return {
      {"parameters", of(kept.weights, 1)},
      {"optimizer state", trains ? of(kept.optimizer, 1) : 0.0},
      {"gradients", of(kept.gradients, 1) + of(tied, sizeof(nn::Sum<Scalar>))},
      {"activations", of(1, activations)},
      {"prefill and decode",
       decoding_bytes<Scalar>(train, model, data.shape(), division, here.stages().front(), over.tensor)},
      {"batches", of(checked_sum(waiting_rows(data, division.rows), checked_sum(division.rows.extent, evaluated)), 1) *
                      row_bytes<Scalar>(data)},
      {"data set", static_cast<double>(data.bytes()), true},
      {"record",
       keeps_record ? of(std::min(train.total_steps(data.steps_per_epoch()), most_steps), 2 * sizeof(double)) : 0.0}};
}

template <class Scalar>
std::size_t gpt_activation_bytes(const TrainOptions& train, const nn::GptShape& shape,
                                 std::initializer_list<nn::StagePlan> plans, const parallel::TensorAxis<Scalar>* axis) {
  constexpr std::size_t element = sizeof(Scalar), statistic = sizeof(nn::Sum<Scalar>);
  const auto of_rows = [&](index_t rows) {
    if (axis == nullptr) return nn::gpt_memory(shape, rows, element, statistic);
    const int parts = axis->ranks().size(), mine = axis->ranks().rank();
    const index_t chunks = train.model().chunks;
    const nn::GptSlices slices = parallel::gpt_slices(shape, chunks, axis->options().sequence, parts, mine);
    const nn::BetweenMemory between =
        parallel::between_memory(shape, rows, element, statistic, axis->options(), chunks, parts, mine);
    return nn::gpt_memory(shape, rows, element, statistic, slices, between);
  };
  std::size_t slots = 0, workspace = 0;
  for (const nn::StagePlan& plan : plans) {
    const nn::GptMemory memory = of_rows(plan.rows);
    slots = std::max(slots, static_cast<std::size_t>(plan.slots * plan.pieces) * memory.piece(shape.blocks));
    workspace = std::max(workspace, memory.workspace);
  }
  return slots + workspace;
}

#define PARTITA_MEMORY(S)                                                                                             \
  template std::vector<driver::MemoryNeed> memory_needs<S>(const TrainOptions&, const ModelOptions&, const Dataset&,  \
                                                           const nn::Division&, const parallel::DataParallelOptions&, \
                                                           int, int, bool, const Splits<S>&, const StagesOfRank&);    \
  template std::size_t gpt_activation_bytes(const TrainOptions&, const nn::GptShape&,                                 \
                                            std::initializer_list<nn::StagePlan>, const parallel::TensorAxis<S>*);
PARTITA_MEMORY(float)
PARTITA_MEMORY(bfloat16)
PARTITA_MEMORY(float16)
#undef PARTITA_MEMORY

}  // namespace partita::training
