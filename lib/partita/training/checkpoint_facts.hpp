// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/io/checkpoint_file.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/update.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// Groups of tensors: of the model's weights, and of its running statistics.
struct CheckpointGroup {
  nn::Kept kept;
  const char* name;
};
inline constexpr CheckpointGroup checkpoint_groups[] = {
    {nn::Kept::weights, "weights"}, {nn::Kept::m, "m"}, {nn::Kept::v, "v"}};
inline constexpr const char* checkpoint_statistics = "statistics";
const char* group_of(nn::Kept what);
/// Of the whole tensor.
std::vector<index_t> shape_of(const nn::Parameter& tensor);

/// What a checkpoint says beside its tensors.
struct CheckpointFacts {
  std::string deck;  ///< the resolved one
  index_t done = 0;
  std::span<const double> losses;  ///< of these steps
  nn::UpdateCounters counters;
  std::string strategy;
  int ranks = 1;
};
/// A checkpoint that tensors are to follow, in their groups.
io::CheckpointWriter begin_checkpoint(const std::string& path, const TrainOptions& train, const CheckpointFacts& facts);

/// A run that is to go on from a checkpoint.
struct Resuming {
  const TrainOptions& train;
  const std::string& deck;  ///< resolved
  index_t steps = 0;        ///< of the whole run
  const nn::ParameterTable& weights;
  const nn::ParameterTable& statistics;
};
/// Where it begins.
struct CheckpointState {
  index_t done = 0;
  std::vector<double> losses;  ///< of each step that is done
  nn::UpdateCounters counters;
  bool same_precision = true;        ///< else the loss scale says nothing to the run
  std::vector<std::string> differs;  ///< keys of [train], [model], [data] that are others in the run, to be shown
};
/// Throws   UsageError for a checkpoint that the run cannot go on from: facts are missing or cannot be, the optimizer
///          is another, no step is left, the model lacks a tensor.
CheckpointState read_state(const io::CheckpointFile& file, const Resuming& run);

}  // namespace partita::training
