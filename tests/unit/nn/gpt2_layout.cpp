// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/gpt2_layout.hpp>

#include <support/caught.hpp>

namespace partita::nn::gpt2_layout_tests {
namespace {

index_t elements(const GptShape& shape) {
  index_t sum = 0;
  for (const Gpt2Tensor& tensor : gpt2_tensors(shape)) {
    index_t product = 1;
    for (const index_t extent : tensor.shape) product *= extent;
    sum += product;
  }
  return sum;
}

// What the published models have.
TEST(gpt2_layout, counts_the_parameters_of_the_published_models) {
  EXPECT_EQ(elements({.V = 50257, .T = 1024, .C = 768, .H = 12, .blocks = 12, .tied = true}), 124'439'808);
  EXPECT_EQ(elements({.V = 50257, .T = 1024, .C = 1600, .H = 25, .blocks = 48, .tied = true}), 1'557'611'200);
}

TEST(gpt2_layout, names_every_tensor_of_the_model_once) {
  for (const bool tied : {false, true}) {
    const GptShape shape{.V = 13, .T = 7, .C = 12, .H = 3, .blocks = 3, .F = 35, .tied = tied};
    std::set<std::string> names, own;
    for (const Gpt2Tensor& tensor : gpt2_tensors(shape)) {
      EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
      own.insert(tensor.parameter);
    }
    std::set<std::string> table;
    const auto model = make_gpt<float>(shape);
    for (const Parameter& parameter : model.table().parameters()) table.insert(parameter.name);
    EXPECT_EQ(own, table);
    EXPECT_EQ(names.contains("lm_head.weight"), !tied);
    for (const char* name :
         {"wte.weight", "wpe.weight", "h.2.ln_1.bias", "h.0.attn.c_attn.weight", "h.1.attn.c_proj.bias",
          "h.2.ln_2.weight", "h.0.mlp.c_fc.weight", "h.0.mlp.c_proj.weight", "ln_f.bias"})
      EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(gpt2_layout, names_of_others) {
  EXPECT_EQ(gpt2_name("transformer.h.0.ln_1.bias"), "h.0.ln_1.bias");
  EXPECT_EQ(gpt2_name("lm_head.weight"), "lm_head.weight");
  EXPECT_EQ(gpt2_name("h.0.attn.c_attn.bias"), "h.0.attn.c_attn.bias");
  EXPECT_EQ(gpt2_name("transformer.h.11.attn.bias"), "");
  EXPECT_EQ(gpt2_name("h.0.attn.masked_bias"), "");
  const std::map<std::string, std::string> expected = {
      {"format", "pt"}, {"n_head", "3"}, {"n_layer", "2"}, {"n_ctx", "7"}};
  EXPECT_EQ(gpt2_metadata({.T = 7, .H = 3, .blocks = 2}), expected);
}

TEST(gpt2_layout, refuses_what_it_cannot_say) {
  EXPECT_EQ(partita::testing::caught<UsageError>([] { gpt2_tensors({.rms_norm = true}); }),
            "GPT-2's layout: it has no word for RMS norms: expected layer norms (model.norm = \"layer\")");
  EXPECT_EQ(partita::testing::caught<UsageError>([] { gpt2_tensors({.activation = kernels::Activation::silu}); }),
            "GPT-2's layout: its activation is not silu: expected gelu_tanh (model.activation = \"gelu_tanh\")");
}

}  // namespace
}  // namespace partita::nn::gpt2_layout_tests
