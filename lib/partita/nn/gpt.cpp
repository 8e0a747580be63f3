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

GptSlices::Leaves gpt_leaves(const GptShape& shape, index_t chunks) {
  if (chunks <= 1) return {};
  return {shape.H, std::clamp<index_t>(shape.hidden(), 1, chunks), std::clamp<index_t>(shape.V, 1, chunks),
          std::clamp<index_t>(shape.T, 1, chunks)};
}

template <class Scalar>
LayerList<Scalar> gpt_layers(const GptShape& shape, index_t chunks, const GptSlices& slices,
                             const Between<Scalar>& between) {
  check(shape);
  using L = Layers<Scalar>;
  using List = LayerList<Scalar>;
  const index_t T = shape.T, C = shape.C, H = shape.H, D = C / H;
  const Slice heads = all_unless(slices.heads, H), hidden = all_unless(slices.hidden, shape.hidden()),
              vocabulary = all_unless(slices.vocabulary, shape.V), tokens = all_unless(slices.tokens, T);
  const Slice columns_of_heads{heads.offset * D, heads.extent * D, C};
  const auto leaves = gpt_leaves(shape, chunks);
  const Dimension V(vocabulary, leaves.vocabulary);
  const Initial normal = Initial::normal(0.02);
  const Initial ends_branch = Initial::normal(0.02 / std::sqrt(2 * static_cast<double>(shape.blocks)));
  const Norm kind = shape.rms_norm ? Norm::rms : Norm::layer;

  const auto norm = [&](const std::string& name) { return between.token_norm(name, kind, tokens, C); };
  const auto drop = [&](const std::string& name) {
    return L::dropout(name, {tokens.offset * C, tokens.extent * C, T * C}, shape.dropout);
  };
  const auto into = [&](const std::string& name, std::vector<Dimension> N) {
    return between.into_split(name, {.K = whole(C), .N = std::move(N), .tokens = whole(T), .weight = normal});
  };
  const auto out_of = [&](const std::string& name, Slice K, index_t K_blocks) {
    return between.out_of_split(name,
                                {.K = K, .N = {C}, .K_blocks = K_blocks, .tokens = whole(T), .weight = ends_branch});
  };
  const auto attend = [&](const std::string& n) -> List {
    return {norm(n + ".norm1"), into(n + ".qkv", {3, Dimension(heads, leaves.heads), D}),
            between.attention(n + ".attention", {T, heads.extent, true, shape.attention}, D),
            out_of(n + ".proj", columns_of_heads, leaves.heads), drop(n + ".dropout1")};
  };
  const std::string act =
      shape.activation == kernels::Activation::gelu_tanh ? "gelu" : std::string(kernels::name(shape.activation));
  const auto feed_forward = [&](const std::string& n) -> List {
    return {norm(n + ".norm2"), into(n + ".up", {Dimension(hidden, leaves.hidden)}),
            L::activation(n + "." + act, T * hidden.extent, shape.activation),
            out_of(n + ".down", hidden, leaves.hidden), drop(n + ".dropout2")};
  };

  List layers = {between.embedding("embedding", {V, tokens, C, true, shape.tied}), drop("embedding.dropout")};
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
  layers.push_back(L::tagged("head", between.into_split("head", {.K = whole(C),
                                                                 .N = {V},
                                                                 .tokens = whole(T),
                                                                 .bias = false,
                                                                 .weight = normal,
                                                                 .tied = shape.tied ? "embedding.token" : ""})));
  return layers;
}

#define PARTITA_GPT(S) template LayerList<S> gpt_layers(const GptShape&, index_t, const GptSlices&, const Between<S>&)
PARTITA_GPT(float);
PARTITA_GPT(double);
PARTITA_GPT(bfloat16);
PARTITA_GPT(float16);
#undef PARTITA_GPT

}  // namespace partita::nn
