// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <vector>

#include <partita/driver/memory.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/pipeline/pipeline.hpp>
#include <partita/training/extents.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// Which stages of a model a rank has, and what it does with them; no plan: all of it, one micro-batch after the other.
struct StagesOfRank {
  const parallel::PipelinePlan* plan = nullptr;
  int rank = 0;
};

/// What a run will take on this rank, from the shapes alone, without scratch of vendors' libraries: parameters,
/// optimizer state, gradients, activations, batches, data set, and where it is kept the record. Nothing is allocated
/// but units without memory.
/// Throws   UsageError where a model cannot be built, or a tensor is too large to be counted.
template <class Scalar>
std::vector<driver::MemoryNeed> memory_needs(const TrainOptions& train, const ModelOptions& model, const Dataset& data,
                                             const nn::Division& division,
                                             const parallel::DataParallelOptions& strategy, int ranks, int rank,
                                             bool keeps_record, const Splits<Scalar>& over = {},
                                             const StagesOfRank& stages = {});

/// To be called before the model is made: driver::require_memory of that. over: as in plan_model. Collective over the
/// world, whose first rank keeps the record.
template <class Scalar>
void require_memory(const comm::Communicator& world, const comm::Communicator& replicas, const TrainOptions& train,
                    const ModelOptions& model, const Dataset& data, const nn::Division& division,
                    const parallel::DataParallelOptions& strategy,
                    const Splits<std::type_identity_t<Scalar>>& over = {}, const StagesOfRank& stages = {}) {
  driver::require_memory(world, memory_needs<Scalar>(train, model, data, division, strategy, replicas.size(),
                                                     replicas.rank(), world.is_root(), over, stages));
}

/// Activations of a GPT, or of a rank's part of it, in bytes: the closed form of what a stage with these plans
/// allocates (nn/gpt_memory.hpp, parallel/tensor/memory.hpp). axis: as in plan_model.
template <class Scalar>
std::size_t gpt_activation_bytes(const TrainOptions& train, const nn::GptShape& shape,
                                 std::initializer_list<nn::StagePlan> plans, const parallel::TensorAxis<Scalar>* axis);

}  // namespace partita::training
