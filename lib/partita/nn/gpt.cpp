// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gpt.hpp>

#include <cmath>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {
namespace {

void check(const GptShape& shape) {
  const std::pair<const char*, index_t> extents[] = {
      {"V", shape.V}, {"T", shape.T}, {"C", shape.C}, {"H", shape.H}, {"blocks", shape.blocks}};
  for (const auto& [letter, extent] : extents)
    if (extent < 1) refuse<UsageError>("GPT", fmt::format("{} = {}", letter, extent), "at least 1");
  if (shape.F < 0) refuse<UsageError>("GPT", fmt::format("F = {}", shape.F), "at least 0");
  if (shape.C % shape.H != 0)
    refuse<UsageError>("GPT", fmt::format("a width of {} and {} heads", shape.C, shape.H),
                       "heads that divide the width");
  if (!(shape.dropout >= 0 && shape.dropout < 1))
    refuse<UsageError>("GPT", fmt::format("a dropout of {}", shape.dropout), "one in [0, 1)");
}

Slice all_unless(const Slice& slice, index_t n) { return slice.extent == 0 ? whole(n) : slice; }

}  // namespace

template <class Scalar>
LayerList<Scalar> gpt_layers(const GptShape& shape, index_t chunks, const GptSlices& slices) {
  check(shape);
  using L = Layers<Scalar>;
  using List = LayerList<Scalar>;
  const index_t T = shape.T, C = shape.C, H = shape.H, D = C / H, F = shape.hidden();
  const Slice tokens = whole(T), heads = all_unless(slices.heads, H), hidden = all_unless(slices.hidden, F);
  const Slice columns_of_heads{heads.offset * D, heads.extent * D, C};
  const bool cut = chunks > 1;  // sums over heads, hidden columns and vocabulary
  const index_t of_heads = cut ? H : 1, of_hidden = std::clamp<index_t>(F, 1, chunks),
                of_vocabulary = std::clamp<index_t>(shape.V, 1, chunks);
  const Initial normal = Initial::normal(0.02);
  const Initial ends_branch = Initial::normal(0.02 / std::sqrt(2 * static_cast<double>(shape.blocks)));
  const Norm kind = shape.rms_norm ? Norm::rms : Norm::layer;

  const auto norm = [&](const std::string& name) { return L::token_norm(name, kind, tokens, C); };
  const auto drop = [&](const std::string& name) { return L::dropout(name, whole(T * C), shape.dropout); };
  const auto linear = [&](const std::string& name, Slice K, index_t K_blocks, std::vector<Dimension> N,
                          Initial weight) {
    return L::linear(name, {.K = K, .N = std::move(N), .K_blocks = K_blocks, .tokens = tokens, .weight = weight});
  };
  const auto attend = [&](const std::string& n) -> List {
    return {norm(n + ".norm1"), linear(n + ".qkv", whole(C), 1, {3, Dimension(heads, of_heads), D}, normal),
            L::attention(n + ".attention", {T, heads.extent, true, shape.attention}, D),
            linear(n + ".proj", columns_of_heads, of_heads, {C}, ends_branch), drop(n + ".dropout1")};
  };
  const auto feed_forward = [&](const std::string& n) -> List {
    return {norm(n + ".norm2"), linear(n + ".up", whole(C), 1, {Dimension(hidden, of_hidden)}, normal),
            L::activation(n + ".gelu", T * hidden.extent, kernels::Activation::gelu_tanh),
            linear(n + ".down", hidden, of_hidden, {C}, ends_branch), drop(n + ".dropout2")};
  };

  List layers = {L::embedding("embedding", Dimension(shape.V, of_vocabulary), tokens, C, shape.tied),
                 drop("embedding.dropout")};
  for (index_t b = 0; b < shape.blocks; ++b) {
    const std::string n = fmt::format("block{}", b);
    List branch = attend(n);
    if (shape.recompute == Recompute::attention) branch = {L::recomputed(n + ".attend.again", std::move(branch))};
    List block = {L::tagged("attention", L::residual(n + ".attend", std::move(branch))),
                  L::tagged("feed-forward", L::residual(n + ".mlp", feed_forward(n)))};
    if (shape.recompute == Recompute::block) block = {L::recomputed(n + ".again", std::move(block))};
    layers.insert(layers.end(), block.begin(), block.end());
  }
  layers.push_back(norm("norm"));
  layers.push_back(L::tagged("head", L::linear("head", {.K = whole(C),
                                                        .N = {Dimension(shape.V, of_vocabulary)},
                                                        .tokens = tokens,
                                                        .bias = false,
                                                        .weight = normal,
                                                        .tied = shape.tied ? "embedding.token" : ""})));
  return layers;
}

template LayerList<float> gpt_layers(const GptShape&, index_t, const GptSlices&);
template LayerList<double> gpt_layers(const GptShape&, index_t, const GptSlices&);
template LayerList<bfloat16> gpt_layers(const GptShape&, index_t, const GptSlices&);
template LayerList<float16> gpt_layers(const GptShape&, index_t, const GptSlices&);

}  // namespace partita::nn
