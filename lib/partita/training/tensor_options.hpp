// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// The keys of a mesh of replicas of a split model.
struct TensorMesh {
  int replicas = 1;  ///< that share the rows of a batch
  int parts = 1;     ///< ranks that hold one of them between them
  parallel::TensorOptions options;

  /// "tensor 2/ring", "data 2 x tensor 3/mpi/sequence", "tensor 2/mpi/chunks by time".
  std::string text(const parallel::DataParallelOptions& gradients) const;
};

/// Declares and reads them; all `ranks` are used.
TensorMesh read_tensor_mesh(config::Deck& deck, comm::Allreduce how, bool deterministic, int ranks);

/// What depends on the model, too, and on whether the run has a step of warm-up. A key that does not fit is refused, as
/// in reading.
void check(const config::Deck& deck, const TensorMesh& mesh, const TrainOptions& train, const ModelOptions& model,
           const DataOptions& data, index_t warmup);

/// The ranks that hold a model between them.
template <class Scalar>
parallel::TensorAxis<Scalar> tensor_axis(const comm::Communicator& parts, const TensorMesh& mesh,
                                         const SampleShape& sample, const nn::ModelOptions& how) {
  const index_t T = std::max<index_t>(sample.tokens, 1);
  return {parts, mesh.options, T, how.chunks > 1 ? std::clamp<index_t>(T, 1, how.chunks) : 1};
}

}  // namespace partita::training
