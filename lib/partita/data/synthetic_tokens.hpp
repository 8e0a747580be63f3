// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/data/sampler.hpp>
#include <partita/data/synthetic.hpp>

namespace partita::data {

/// A language made of numbers alone: the first token of a sequence is random, each next one is f(token), f a random
/// permutation of the vocabulary, or with probability `noise` a random token. Label t is token t + 1. Everything is a
/// function of (seed, sample); nothing is stored.
///
/// Who knows f cannot get below a loss of   -q log q - (V - 1) r log r,   r = noise / V,   q = 1 - noise + r.
struct SyntheticTokensOptions {
  std::uint64_t seed = 1;
  index_t V = 64;      ///< vocabulary
  double noise = 0.1;  ///< in [0, 1]
};

/// My rows of the global batch of a step: row r is sample i = sampler.sample(step, rows.offset + r).
///
/// Shapes   -> tokens (rows.extent, T), label (rows.extent T), overwritten.
/// Runs     enqueued on exec; no fence, no allocation; a thread writes a sequence.
/// Throws   ShapeError unless rows.global = sampler.batch() and the extents fit.
void synthetic_tokens_batch(const Exec& exec, const SyntheticTokensOptions& options, const Sampler& sampler,
                            index_t step, Slice rows, const Matrix<std::int32_t>& tokens,
                            const Vector<std::int32_t>& label);

/// Samples first, first + 1, ... of a split, in order; the rows of tokens say how many. Otherwise the same.
void synthetic_tokens_rows(const Exec& exec, const SyntheticTokensOptions& options, Split split, index_t first,
                           const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label);

/// Sequence i of Split::train into tokens (T) and label (T), on the calling thread: the same.
void synthetic_tokens_sample(const SyntheticTokensOptions& options, index_t T, index_t i, std::int32_t* tokens,
                             std::int32_t* label);

/// The least loss above.
double synthetic_tokens_loss(const SyntheticTokensOptions& options);

}  // namespace partita::data
