// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gpt2_layout.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

std::vector<Gpt2Tensor> gpt2_tensors(const GptShape& shape) {
  if (shape.rms_norm)
    refuse<UsageError>("GPT-2's layout", "it has no word for RMS norms", "layer norms (model.norm = \"layer\")");
  if (shape.activation != kernels::Activation::gelu_tanh)
    refuse<UsageError>("GPT-2's layout", fmt::format("its activation is not {}", kernels::name(shape.activation)),
                       "gelu_tanh (model.activation = \"gelu_tanh\")");
  const index_t V = shape.V, C = shape.C, F = shape.hidden();
  std::vector<Gpt2Tensor> tensors = {{"wte.weight", "embedding.token", {V, C}},
                                     {"wpe.weight", "embedding.position", {shape.T, C}}};
  const auto norm = [&](const std::string& name, const std::string& parameter) {
    tensors.push_back({name + ".weight", parameter + ".weight", {C}});
    tensors.push_back({name + ".bias", parameter + ".bias", {C}});
  };
  const auto conv1d = [&](const std::string& name, const std::string& parameter, index_t inputs, index_t outputs) {
    tensors.push_back({name + ".weight", parameter + ".weight", {inputs, outputs}, true});
    tensors.push_back({name + ".bias", parameter + ".bias", {outputs}});
  };
  for (index_t b = 0; b < shape.blocks; ++b) {
    const std::string h = fmt::format("h.{}.", b), block = fmt::format("block{}.", b);
    norm(h + "ln_1", block + "norm1");
    conv1d(h + "attn.c_attn", block + "qkv", C, 3 * C);
    conv1d(h + "attn.c_proj", block + "proj", C, C);
    norm(h + "ln_2", block + "norm2");
    conv1d(h + "mlp.c_fc", block + "up", C, F);
    conv1d(h + "mlp.c_proj", block + "down", F, C);
  }
  norm("ln_f", "norm");
  if (!shape.tied) tensors.push_back({"lm_head.weight", "head.weight", {V, C}});
  return tensors;
}

std::map<std::string, std::string> gpt2_metadata(const GptShape& shape) {
  return {{"format", "pt"},
          {"n_head", fmt::format("{}", shape.H)},
          {"n_layer", fmt::format("{}", shape.blocks)},
          {"n_ctx", fmt::format("{}", shape.T)}};
}

std::string gpt2_name(std::string_view name) {
  constexpr std::string_view prefix = "transformer.";
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  const bool mask = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
  return mask ? std::string() : std::string(name);
}

}  // namespace partita::nn
