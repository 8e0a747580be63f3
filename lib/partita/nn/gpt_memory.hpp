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
};

/// For pieces of B rows; weights and activations of `element` bytes, statistics and log-sum-exp of `statistic` bytes.
///
/// With n = 2 statistics of a layer norm, 1 of an RMS norm; H heads and F hidden columns that are here, C' = H D the
/// heads' columns; extents that fill whole lines of 64 bytes:
///
///     none         block = B T (element (4 C + 4 C' + 2 F) + statistic (2 n + H))
///     attention    block = B T (element (3 C + 2 F) + statistic n)
///     block        block = B T element C
///
/// Dropout keeps neither masks, which are drawn again, nor what it reads.
///
/// Source   Korthikanti et al. 2022, section 4, for the form; nn/chain.hpp for what is kept.
GptMemory gpt_memory(const GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                     const GptSlices& slices = {});

}  // namespace partita::nn
