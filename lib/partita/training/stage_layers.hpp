// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/training/model_options.hpp>
#include <partita/training/pipeline_options.hpp>

namespace partita::training {

/// How many layers each stage has, and why.
struct StageLayers {
  std::vector<index_t> layers;   ///< of each stage
  std::vector<double> cost;      ///< of each layer: operations of a row, or seconds of a micro-batch
  bool measured = false;         ///< in seconds
  double largest_over_mean = 1;  ///< of the stages' costs
  double gain_over_equal = 1;    ///< largest stage of equal numbers of layers over the largest of these
};

/// As parallel.stages or parallel.balance says. Measured costs are those of rank 0: the least of three passes forward
/// and back over `rows` rows, layer by layer, each with memory of its own.
///
/// whole    the shapes of the unsplit model, in one stage
/// Runs     collective over the world; allocates; fences.
/// Throws   UsageError where there are fewer layers than stages, or parallel.stages are not as many layers as the model
///          has.
template <class Scalar>
StageLayers share_layers(const comm::Communicator& world, const PipelineMesh& mesh, int stages,
                         const ModelPlan<Scalar>& plan, const nn::Model<Scalar>& whole, const nn::ModelOptions& how,
                         index_t rows, const kernels::Options& kernels);

}  // namespace partita::training
