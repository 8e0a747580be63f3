// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include <partita/comm/mesh.hpp>
#include <partita/training/pipeline_options.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// The ranks that work on the same stages of a model, replicas and those that share the rows of each image, and what
/// they add up together. On a mesh with axes "data", "pipeline" and "spatial".
template <class Scalar>
class SpatialRanks {
 public:
  /// rows: of an image. mesh must outlive this. Collective over the world.
  SpatialRanks(const comm::Mesh& mesh, const PipelineMesh& extents, comm::Allreduce how, const TrainOptions& train,
               const ModelOptions& model, index_t rows);
  SpatialRanks(const SpatialRanks&) = delete;
  SpatialRanks& operator=(const SpatialRanks&) = delete;

  /// Null where a rank has whole images.
  parallel::SpatialAxis<Scalar>* rows() { return rows_ ? &*rows_ : nullptr; }
  Splits<Scalar> splits() { return {.rows = rows(), .norms = &norms_}; }
  /// Those whose gradients an exchange adds up: replicas, and in fast mode the others that have a part of the same
  /// images. In deterministic mode these have all of it.
  const comm::Communicator& adders() const { return adders_; }

 private:
  comm::Communicator peers_;  // of the same stages
  const comm::Communicator& adders_;
  std::optional<parallel::SpatialAxis<Scalar>> rows_;
  parallel::BatchNormAxis norms_;
};

/// Makes `work` add to the record what shared images cost: /strategy has for each rank its rows of the network's
/// input, and the time of halos that a step waits for and that computation hides. Nothing without parts.rows. All that
/// is referred to must outlive the workload.
template <class Scalar>
void attach_halos(const Parts<Scalar>& parts, driver::Workload& work);

}  // namespace partita::training
