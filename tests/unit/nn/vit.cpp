// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/layers.hpp>

#include "problem.hpp"

// A model that the library does not have, written from its units: a small vision transformer (Dosovitskiy et al. 2021)
// without class token. Patches are a convolution with its kernel as stride; its output (rows, columns, C) is the
// tokens.

namespace partita::nn::test::vit_tests {
namespace {

Model<double> vision_transformer(index_t side, index_t patch, index_t C, index_t H, index_t blocks, index_t classes) {
  using L = Layers<double>;
  const index_t grid = side / patch, T = grid * grid;
  const auto linear = [&](const std::string& name, index_t K, index_t N) {
    return L::linear(name, {.K = whole(K), .N = {N}, .tokens = whole(T)});
  };
  LayerList<double> layers = {L::conv2d("patches", {side, side, 1, C, patch, patch, patch, 0}, true)};
  for (index_t b = 0; b < blocks; ++b) {
    const std::string n = "block" + std::to_string(b);
    layers.push_back(L::residual(
        n + ".attend",
        {L::token_norm(n + ".norm1", Norm::layer, whole(T), C), linear(n + ".qkv", C, 3 * C),
         L::attention(n + ".attention", {.T = T, .H = H, .causal = false}, C / H), linear(n + ".proj", C, C)}));
    layers.push_back(L::residual(
        n + ".mlp", {L::token_norm(n + ".norm2", Norm::layer, whole(T), C), linear(n + ".up", C, 2 * C),
                     L::activation(n + ".gelu", T * 2 * C, kernels::Activation::gelu), linear(n + ".down", 2 * C, C)}));
  }
  layers.push_back(L::token_norm("norm", Norm::layer, whole(T), C));
  layers.push_back(L::global_average_pool("pool", {grid, grid, C}));
  layers.push_back(L::linear("head", {.K = whole(C), .N = {classes}}));
  return {layers, {1, classes}, {.seed = 4}};
}

TEST(vit, gradients_agree_with_central_differences) {
  Problem problem(vision_transformer(6, 2, 4, 2, 1, 3), 3);
  expect_central_differences(problem, 1e-5, 1e-6);
}

TEST(vit, trains) {
  kernels::Context context;
  Model<double> model = vision_transformer(6, 2, 4, 2, 1, 3);
  const Data<double> data(model, 6);
  SerialStep<double> step(context, model, 6, {.update = {.learning_rate = 0.2}});
  step.run(data.batch());
  const double first = on_host(step.losses)[0];
  step.run(data.batch());
  EXPECT_LT(on_host(step.losses)[0], first);
}

}  // namespace
}  // namespace partita::nn::test::vit_tests
