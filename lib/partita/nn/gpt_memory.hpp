// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/gpt.hpp>

namespace partita::nn {

/// Activations of a GPT on one rank, in bytes: the closed form of what a stage plans (StagePlan) for all its units.
/// Alignment is a part of it: exact for any extents.
struct GptMemory {
  std::size_t embedding = 0;  ///< of a piece, from forward to backward
  std::size_t block = 0;      ///< each block
  std::size_t head = 0;       ///< the last norm, and the scores, whose gradient takes their place
  std::size_t workspace = 0;  ///< once: gradients between units, and what is computed again

  std::size_t piece(index_t blocks) const { return embedding + static_cast<std::size_t>(blocks) * block + head; }
  /// Of a stage so planned; its rows are those that this was counted for.
  std::size_t stage(const StagePlan& plan, index_t blocks) const {
    return static_cast<std::size_t>(plan.slots * plan.pieces) * piece(blocks) + workspace;
  }
};

/// What a strategy's units between local ones take (nn/between.hpp), bytes of a piece; nothing where a rank is alone.
struct BetweenMemory {
  std::size_t kept = 0;  ///< by each product into a split, in place of the norm's output before it
  std::size_t embedding_workspace = 0, norm_workspace = 0;
  std::size_t into_heads_workspace = 0, out_of_heads_workspace = 0;
  std::size_t into_hidden_workspace = 0, out_of_hidden_workspace = 0;
  std::size_t into_words_workspace = 0;
};

/// For pieces of B rows; weights and activations of `element` bytes, statistics and log-sum-exp of `statistic` bytes.
///
/// With n = 2 statistics of a layer norm, 1 of an RMS norm; H heads and F hidden columns that are here, C' = H D the
/// heads' columns; t tokens of norms, residuals and dropout that are here, all T where they are not split; extents that
/// fill whole lines of 64 bytes:
///
///     none         block = B t (element 4 C + statistic 2 n) + B T (element (4 C' + 2 F) + statistic H)
///     attention    block = B t (element 3 C + statistic n) + B T element 2 F
///     block        block = B t element C
///
/// Where a strategy keeps what it gathered, `kept` stands in place of B t element C of each norm. Dropout keeps neither
/// masks, which are drawn again, nor what it reads.
///
/// Source   Korthikanti et al. 2022, section 4, for the form; nn/chain.hpp for what is kept.
GptMemory gpt_memory(const GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                     const GptSlices& slices = {}, const BetweenMemory& between = {});

}  // namespace partita::nn
