// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include <gtest/gtest.h>

#include <partita/nn/bag.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>

#include "problem.hpp"

// Whole models in double: analytic gradients of every parameter against central differences; halves of backward apart,
// micro-batches, and stages give the same.

namespace partita::nn::test::gradients_tests {
namespace {

using kernels::Activation;
using kernels::Loss;

struct Case {
  const char* name;
  LayerList<double> (*layers)();
  OutputShape output;
  index_t B;
};

GptShape small_gpt() { return {.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 2}; }
CnnShape small_cnn(CnnKind kind) {
  return {.kind = kind, .rows = 5, .columns = 4, .channels = 2, .width = {2, 3}, .depth = 1, .classes = 3};
}

const Case cases[] = {
    {"gpt", [] { return gpt_layers<double>(small_gpt()); }, {4, 5}, 3},
    {"gpt_tied_plain_attention",
     [] {
       GptShape shape = small_gpt();
       shape.tied = true;
       shape.attention = kernels::AttentionAlgorithm::plain;
       return gpt_layers<double>(shape);
     },
     {4, 5},
     2},
    {"gpt_dropout",
     [] {
       GptShape shape = small_gpt();
       shape.dropout = 0.25;
       return gpt_layers<double>(shape);
     },
     {4, 5},
     2},
    {"gpt_rms_norm",
     [] {
       GptShape shape = small_gpt();
       shape.rms_norm = true;
       return gpt_layers<double>(shape);
     },
     {4, 5},
     2},
    {"gpt_silu",
     [] {
       GptShape shape = small_gpt();
       shape.activation = Activation::silu;
       return gpt_layers<double>(shape);
     },
     {4, 5},
     2},
    // A rank's share of the queries, with keys and values of all tokens before it.
    {"slice_of_queries",
     [] {
       using L = Layers<double>;
       return LayerList<double>{L::linear("qkv", {.K = whole(2), .N = {3, 2, 3}, .tokens = whole(5)}),
                                L::attention("attention", {.T = 5, .H = 2, .queries = {2, 2, 5}}, 3),
                                L::activation("tanh", 2 * 6, Activation::tanh),
                                L::linear("head", {.K = whole(6), .N = {4}, .tokens = whole(2)})};
     },
     {2, 4},
     3},
    {"bag",
     [] {
       return bag_layers<double>(
           {.V = 4, .T = 3, .C = 5, .hidden = {4, 3}, .classes = 3, .activation = Activation::silu});
     },
     {1, 3},
     4},
    {"vgg_group_norm",
     [] {
       CnnShape shape = small_cnn(CnnKind::vgg);
       shape.width = {2, 4};
       shape.groups = 2;
       return cnn_layers<double>(shape);
     },
     {1, 3},
     3},
    {"resnet", [] { return cnn_layers<double>(small_cnn(CnnKind::resnet)); }, {1, 3}, 4},
    {"vgg", [] { return cnn_layers<double>(small_cnn(CnnKind::vgg)); }, {1, 3}, 4},
};

Model<double> model_of(const Case& at, const std::vector<index_t>& cuts = {}) {
  return {at.layers(), at.output, {.seed = 3}, cuts};
}

class gradients : public ::testing::TestWithParam<Case> {};

// Norms of a few columns make third derivatives of thousands.
TEST_P(gradients, of_every_parameter_agree_with_central_differences) {
  Problem problem(model_of(GetParam()), GetParam().B);
  expect_central_differences(problem, 1e-5, 1e-6);
}

TEST_P(gradients, are_the_same_when_the_halves_run_apart) {
  using Kind = Action::Kind;
  const index_t B = GetParam().B;
  Problem together(model_of(GetParam()), B, Loss::cross_entropy, {}, 2);
  const double loss = together.run();
  // The second micro-batch comes in between, as in a pipeline.
  Problem apart(model_of(GetParam()), B, Loss::cross_entropy,
                {{Kind::forward, 0, 0},
                 {Kind::forward, 0, 1},
                 {Kind::backward_input, 0, 0},
                 {Kind::backward_input, 0, 1},
                 {Kind::backward_weights, 0, 0},
                 {Kind::backward_weights, 0, 1}},
                2);
  EXPECT_EQ(apart.run(), loss);
  EXPECT_EQ(apart.gradients(), together.gradients());
}

TEST_P(gradients, are_the_same_in_stages_on_one_rank) {
  Problem whole(model_of(GetParam()), GetParam().B, Loss::cross_entropy, {}, 2);
  const double loss = whole.run();
  Model<double> cut = model_of(GetParam(), {1, 3});
  ASSERT_EQ(cut.stages().size(), 3u);
  Problem stages(std::move(cut), GetParam().B, Loss::cross_entropy, {}, 2);
  EXPECT_EQ(stages.run(), loss);
  EXPECT_EQ(stages.gradients(), whole.gradients());
}

// Weights of a step, and the sum over micro-batches, are the whole batch's: but for batch norm, whose statistics are a
// micro-batch's own.
TEST_P(gradients, of_micro_batches_sum_to_those_of_the_batch) {
  if (model_of(GetParam()).statistics_table().size() > 0) GTEST_SKIP() << "batch statistics differ";
  Problem whole(model_of(GetParam()), GetParam().B),
      parts(model_of(GetParam()), GetParam().B, Loss::cross_entropy, {}, 2);
  EXPECT_NEAR(parts.run(), whole.run(), 1e-14);
  const std::vector<double> expected = whole.gradients(), got = parts.gradients();
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-13) << i;
}

TEST_P(gradients, every_range_is_complete_once) {
  struct Listener final : Progress {
    void ready(const Exec&, Range range) override {
      for (index_t i = range.offset; i < range.end(); ++i) ++times[static_cast<std::size_t>(i)];
    }
    std::vector<int> times;
  } listener;
  Problem problem(model_of(GetParam()), GetParam().B, Loss::cross_entropy, {}, 2);
  listener.times.resize(static_cast<std::size_t>(problem.model.gradient_size()));
  Observer nobody;
  problem.pass.run(problem.model.call(problem.context, nobody), problem.data.batch(), listener, {problem.losses});
  EXPECT_EQ(listener.times, std::vector<int>(listener.times.size(), 1));
}

INSTANTIATE_TEST_SUITE_P(models, gradients, ::testing::ValuesIn(cases), [](const auto& at) { return at.param.name; });

class gradients_mlp : public ::testing::TestWithParam<std::tuple<Activation, Loss>> {};

TEST_P(gradients_mlp, agree_with_central_differences) {
  const auto [activation, loss] = GetParam();
  Problem problem(make_mlp<double>({7, {5, 4}, 3, activation}, {.seed = 11}), 6, loss);
  expect_central_differences(problem, 1e-5, 1e-8);
}

INSTANTIATE_TEST_SUITE_P(smooth, gradients_mlp,
                         ::testing::Combine(::testing::Values(Activation::tanh, Activation::sigmoid, Activation::gelu),
                                            ::testing::Values(Loss::cross_entropy, Loss::mse)));
// relu has no derivative at 0; no pre-activation of this seed is within h of it.
INSTANTIATE_TEST_SUITE_P(relu, gradients_mlp,
                         ::testing::Combine(::testing::Values(Activation::relu),
                                            ::testing::Values(Loss::cross_entropy)));

TEST(gradients, of_the_input_agree_with_central_differences) {
  Problem problem(make_cnn<double>(small_cnn(CnnKind::resnet), {.seed = 8}), 3);
  problem.run();
  Stage<double>& stage = problem.model.stages()[0];
  Observer nobody;
  Call<double> call = stage.place(problem.model.call(problem.context, nobody), 0, 0);
  const auto loss = [&] {
    const ConstMatrix<double> y = stage.forward(call, problem.data.x);
    const Kokkos::View<double, Memory> sum("sum");
    problem.head.run(problem.context, y, problem.data.label, 1, {}, stage.output_gradient(call, 3), sum);
    return on_host(sum).front();
  };
  loss();
  const Matrix<double> dx("dx", problem.data.x.extent(0), problem.data.x.extent(1));
  stage.backward(Half::input, call, problem.data.x, dx);
  const std::vector<double> got = on_host(dx);
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), problem.data.x);
  constexpr double h = 1e-5;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double centre = x.data()[i];
    double side[2];
    for (const int s : {0, 1}) {
      x.data()[i] = centre + (s == 0 ? h : -h);
      Kokkos::deep_copy(problem.data.x, x);
      side[s] = loss();
    }
    x.data()[i] = centre;
    EXPECT_NEAR(got[i], (side[0] - side[1]) / (2 * h), 1e-7) << "pixel " << i;
  }
}

}  // namespace
}  // namespace partita::nn::test::gradients_tests
