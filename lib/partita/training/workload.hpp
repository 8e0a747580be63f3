// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/driver/workload.hpp>
#include <partita/nn/train_step.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/pipeline/pipeline.hpp>
#include <partita/training/dataset.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// What an app plugs together.
template <class Scalar>
struct Parts {
  const TrainOptions& train;
  const ModelOptions& model_options;
  const Dataset& data;
  nn::Model<Scalar>& model;
  kernels::Context& context;
  const comm::Communicator& world;     ///< all ranks of the run
  const comm::Communicator& replicas;  ///< ranks that train the same weights and share the batch
  parallel::TensorAxis<Scalar>* axis;  ///< ranks that hold one replica of the model between them; null: each has all
  const nn::Model<Scalar>& whole;      ///< what is counted of the model: itself, or the shapes of the unsplit one
  const nn::LossHead<Scalar>& head;
  const nn::GradientPass<Scalar>& pass;
  nn::Exchange<Scalar>& exchange;  ///< that of `step`: evaluation, inference and the verdict ask it for weights
  nn::TrainStep<Scalar>& step;
  nn::Update<Scalar>* update = nullptr;            ///< whose learning rate moves; null: a server's
  parallel::StrategyBytes memory = {};             ///< of this rank, as allocated ...
  parallel::StrategyBytes expected = {};           ///< ... and by the strategy's closed form
  std::string strategy;                            ///< "allreduce/ring"
  parallel::Pipeline<Scalar>* pipeline = nullptr;  ///< ranks that have stages of the model; null: each has all
  const nn::Model<Scalar>* listed = nullptr;       ///< all layers with this rank's units; null: that is `model`
  parallel::SpatialAxis<Scalar>* rows = nullptr;   ///< ranks that share the rows of each image; null: each has all
  bool one_model = true;                           ///< replicas hold the same weights after every step
};

/// The loop of the driver over a training step, an evaluation and a verdict. Everything that `parts` refers to must
/// outlive the workload. Allocates the batch's memory.
template <class Scalar>
driver::Workload make_workload(const Parts<Scalar>& parts);

}  // namespace partita::training
