// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include <partita/comm/communicator.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/gpt2_layout.hpp>
#include <partita/nn/update.hpp>
#include <partita/training/weight_files.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// Who holds a model: `tensor`, the ranks whose parts are one replica; `replicas`, those that hold the same part. Rank
/// 0 of the world is the first of both; it alone opens files.
struct WeightAxes {
  const comm::Communicator& world;
  const comm::Communicator& replicas;
  const comm::Communicator& tensor;
};

/// A GPT's weights from a file of GPT-2's layout, whoever wrote it and however they are split here: names with or
/// without "transformer.", F32, F64, BF16 or F16. Each rank takes its part of what rank 0 reads.
///
///     lm_head.weight     missing: the file's head is tied; a head of its own begins with a copy of wte. There, and the
///                        model's head is tied: it must hold what wte holds.
///     wpe.weight         longer than the model's sequences: their first positions, which are all that they read.
///     precision          weights of 16 bits are rounded once, master weights not at all.
///     n_head, n_layer    where the metadata has them, they are the model's.
///
/// update   null: only the model's own weights are set. Optimizer state is left alone.
/// Runs     before the first step; collective over the world; allocates; fences.
/// Throws   UsageError on all ranks alike: a file that is damaged, lacks a tensor, has one that the model has not, or
///          one of another shape.
/// Memory   a million numbers of the file and one local tensor at a time.
template <class Scalar>
void load_weights(const std::string& path, const nn::GptShape& shape, const comm::Communicator& world, const Exec& exec,
                  const nn::Model<Scalar>& model, const nn::Update<Scalar>* update);

/// The weights that the next step would read, in GPT-2's layout as F32, from which weights of 16 bits come back exactly
/// (their master weights are not kept). Calls `alive` for each tensor.
///
/// Runs     collective over the world; fences; not for a timed step.
/// Throws   Error on all ranks alike when the file cannot be written.
/// Memory   one whole tensor on rank 0, and one local one, at a time.
template <class Scalar>
void save_weights(const std::string& path, const nn::GptShape& shape, const WeightAxes& axes, const Exec& exec,
                  const nn::Model<Scalar>& model, nn::Exchange<Scalar>& exchange, const std::function<void()>& alive);

/// One forward pass over the first held-out samples, as a file for checks by other programs:
///
///     tokens (B, T), labels (B, T): I64     logits (B, T, V), loss (): F32, a mean over the labels that count (not -1)
///
/// B is that of an evaluation's block, and smaller where the logits would take more than 256 MiB.
/// Runs, Throws as save_weights.
template <class Scalar>
void save_batch(const std::string& path, const Parts<Scalar>& parts, const WeightAxes& axes);

/// Loads now, and makes `work` save at the end. All that is referred to must outlive the workload. Collective over the
/// world.
template <class Scalar>
void attach(const WeightFiles& files, const Parts<Scalar>& parts, driver::Workload& work);

}  // namespace partita::training
