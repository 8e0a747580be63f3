// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <partita/nn/gpt.hpp>

namespace partita::nn {

/// One tensor of a GPT-2 checkpoint, and which of a GPT's it is.
struct Gpt2Tensor {
  std::string name;            ///< in the file: "h.0.attn.c_attn.weight"
  std::string parameter;       ///< in the model's table: "block0.qkv.weight"
  std::vector<index_t> shape;  ///< in the file; the model's dimensions are the same but for a finer cut of one of them
  bool transposed = false;     ///< Conv1D: (inputs, outputs) in the file, (outputs, inputs) in the model
};

/// The tensors of a GPT in the names and layouts of GPT-2, in their order there:
///
///     wte.weight (V, C)   wpe.weight (T, C)   ln_f.weight, .bias (C)   lm_head.weight (V, C), where it is not tied
///     h.N.ln_1, h.N.ln_2 .weight, .bias (C)
///     h.N.attn.c_attn.weight (C, 3 C), .bias (3 C): queries, keys, values, each by heads
///     h.N.attn.c_proj.weight (C, C)    h.N.mlp.c_fc.weight (C, F)    h.N.mlp.c_proj.weight (F, C), each with .bias
///
/// The rest agrees: pre-norm blocks, layer norms with 1e-5, gelu by tanh ("gelu_new"), an attention scaled by
/// 1/sqrt(head), dropout in the same places but for that of attention's scores.
/// Throws   UsageError for a GPT that GPT-2's layout cannot say: RMS norms, another activation.
/// Source   https://huggingface.co/openai-community/gpt2; GPT2LMHeadModel of transformers.
std::vector<Gpt2Tensor> gpt2_tensors(const GptShape& shape);

/// What a file says beside its tensors: format ("pt"), n_head, n_layer, n_ctx.
std::map<std::string, std::string> gpt2_metadata(const GptShape& shape);

/// Of a tensor's name in a file, as GPT2LMHeadModel or GPT2Model has it: without "transformer."; empty for the buffers
/// of masks (h.N.attn.bias, h.N.attn.masked_bias) that old checkpoints hold.
std::string gpt2_name(std::string_view name);

}  // namespace partita::nn
