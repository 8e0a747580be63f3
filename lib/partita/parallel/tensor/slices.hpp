// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>

// Who has which part of a model that is split over the ranks of an axis. Pure arithmetic.

namespace partita::parallel {

/// A rank's part of n elements: those of partition(leaves, ranks, rank) of the blocks that sums over them are cut into;
/// with one leaf, partition(n, ranks, rank).
Slice share_of(index_t n, index_t leaves, int ranks, int rank);

/// Heads, hidden columns and words; with `sequence` tokens, too. chunks: ModelOptions::chunks.
/// Throws   UsageError where a rank would have nothing to do, saying of what there is too little.
nn::GptSlices gpt_slices(const nn::GptShape& shape, index_t chunks, bool sequence, int ranks, int rank);

/// Columns of every second hidden layer, from the first one on.
/// Throws   UsageError as gpt_slices; for a model without a hidden layer that another one follows.
nn::MlpSlices mlp_slices(const nn::MlpShape& shape, index_t chunks, int ranks, int rank);

}  // namespace partita::parallel
