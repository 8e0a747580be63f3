// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/activation.hpp>
#include <partita/kernels/attention.hpp>
#include <partita/nn/between.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

struct GptShape {
  index_t V = 256;                                                  ///< vocabulary
  index_t T = 256;                                                  ///< tokens of a sequence
  index_t C = 256;                                                  ///< width
  index_t H = 4;                                                    ///< heads
  index_t blocks = 4;                                               ///< transformer blocks
  index_t F = 0;                                                    ///< hidden columns of a block's MLP; 0: 4 C
  bool tied = false;                                                ///< the head multiplies with the token embedding
  bool rms_norm = false;                                            ///< RMS norms in place of layer norms
  kernels::Activation activation = kernels::Activation::gelu_tanh;  ///< of a block's hidden columns
  double dropout = 0;  ///< after the embedding and at the end of each branch
  kernels::AttentionAlgorithm attention = kernels::AttentionAlgorithm::blockwise;
  Recompute recompute = Recompute::none;

  index_t hidden() const { return F > 0 ? F : 4 * C; }
};

/// The part of the model that is here: a tensor-parallel strategy gives each rank some heads, hidden columns and words;
/// its Between adds up what the parts give. Extent 0: all.
struct GptSlices {
  Slice heads = {}, hidden = {}, vocabulary = {};
  Slice tokens = {};  ///< on which norms, residuals and dropout work

  /// Leaves of the sums over each, which slices do not cut, when sums over hidden columns and words are cut into
  /// `chunks` leaves at most (deterministic mode); 1 each where they are not.
  struct Leaves {
    index_t heads = 1, hidden = 1, vocabulary = 1, tokens = 1;
  };
};
GptSlices::Leaves gpt_leaves(const GptShape& shape, index_t chunks);

/// A GPT-style decoder (Radford et al. 2019): token and position embedding, pre-norm blocks, final norm, head without
/// bias. Tokens (B, T) in call.tokens -> scores (B, T V).
///
///     block:   x <- x + proj(attention(qkv(norm(x))));   x <- x + down(act(up(norm(x))))
///
/// Weights are normal with deviation 0.02, those that end a branch 0.02 / sqrt(2 blocks), biases 0, norms 1.
///
/// Throws   UsageError for an extent below 1, a width that the heads do not divide, a dropout outside [0, 1).
template <class Scalar>
LayerList<Scalar> gpt_layers(const GptShape& shape, index_t chunks = 1, const GptSlices& slices = {},
                             const Between<Scalar>& between = {});

template <class Scalar>
Model<Scalar> make_gpt(const GptShape& shape, const ModelOptions& options = {}, const GptSlices& slices = {}) {
  return Model<Scalar>(gpt_layers<Scalar>(shape, options.chunks, slices), {shape.T, shape.V}, options);
}

}  // namespace partita::nn
