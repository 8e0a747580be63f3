// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/run_options.hpp>
#include <partita/training/checkpoint_facts.hpp>
#include <partita/training/checkpoint_options.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// Leaves a run in a state that another one goes on from: weights (master weights of models with 16 bits), the rule's
/// buffers, running statistics, loss scale, losses so far. What is drawn at random depends on seed, names and the
/// number of a step, so that there is no more to keep; samples, too. Tensors are whole, by their names, whatever mesh
/// and strategy they come from: in deterministic mode a run that goes on has the bits of one that was never stopped, on
/// any number of ranks.
///
/// Runs     collective over the world, which may hang: only rank 0 holds `writing`, while it uses HDF5; fences; not
///          for a timed step. Returns the bytes of the file, on rank 0.
/// Throws   Error on all ranks alike when the file cannot be written: the checkpoint before is left as it was.
/// Memory   on rank 0 one whole tensor and what other ranks have of it, at a time.
template <class Scalar>
index_t save_checkpoint(const std::string& path, const std::string& deck, index_t done, std::span<const double> losses,
                        const driver::Writing& writing, const Parts<Scalar>& parts);

/// What takes up a checkpoint on this rank.
template <class Scalar>
struct Resumed {
  const TrainOptions& train;
  kernels::Context& context;
  const comm::Communicator& world;
  const nn::Model<Scalar>& model;              ///< of this rank ...
  const nn::Model<Scalar>& whole;              ///< ... and unsplit
  const nn::Update<Scalar>* update = nullptr;  ///< null: this rank updates nothing, and has weights at most
};

/// The other way round, before the first step: every rank takes its part. Returns the steps that are done, and their
/// losses on rank 0.
///
/// Throws   UsageError on all ranks alike: a file that is damaged, lacks a tensor or has one of another shape, comes
///          from another optimizer, or has as many steps as the run. Keys of [train], [model] and [data] that differ
///          are no error: rank 0 says so in a note.
template <class Scalar>
std::pair<index_t, std::vector<double>> load_checkpoint(const std::string& path, const std::string& deck, index_t steps,
                                                        const Resumed<Scalar>& by);
/// ... of --resume, into what the driver is told.
template <class Scalar>
void resume(const CheckpointOptions& checkpoints, const std::string& deck, const Resumed<Scalar>& by,
            driver::Workload& work);

/// Loads now, and makes `work` save. Everything referred to must outlive the workload. Collective over the world.
template <class Scalar>
void attach(const CheckpointOptions& checkpoints, const driver::RunOptions& run, const Parts<Scalar>& parts,
            driver::Workload& work);

}  // namespace partita::training
