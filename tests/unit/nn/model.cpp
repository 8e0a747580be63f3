// SPDX-License-Identifier: BSD-3-Clause
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>

#include <support/caught.hpp>
#include "problem.hpp"

namespace partita::nn::model_tests {
namespace {

using kernels::Activation;
using ::partita::testing::caught;

Model<double> mlp(Activation activation = Activation::tanh) {
  return make_mlp<double>({7, {5, 4}, 3, activation}, {.seed = 11});
}

std::vector<double> scores(Model<double>& model, kernels::Context& context, ConstMatrix<double> x) {
  Observer nobody;
  const Stage<double>& stage = model.stages()[0];
  return test::on_host(stage.forward(stage.place(model.call(context, nobody), 0, 0), x));
}

TEST(model, fewer_rows_than_planned_give_the_rows_of_the_full_batch) {
  Model<double> model = mlp();
  model.stages()[0].plan({.rows = 9});
  const test::Data<double> data(model, 9);
  kernels::Context context;
  const std::vector<double> full = scores(model, context, data.x);
  const std::vector<double> some = scores(model, context, {data.x.data() + 2 * 7, 4, 7});
  EXPECT_EQ(some, std::vector<double>(full.begin() + 2 * 3, full.begin() + 6 * 3));
}

TEST(model, rows_that_do_not_fit_are_refused_with_the_reason) {
  Model<double> model = mlp();
  kernels::Context context;
  const Matrix<double> x("x", 3, 7), wide("wide", 3, 9);
  EXPECT_NE(caught<Error>([&] { scores(model, context, x); }).find("expected plan() before a pass"), std::string::npos);
  model.stages()[0].plan({.rows = 2});
  EXPECT_NE(caught<ShapeError>([&] { scores(model, context, x); }).find("3 rows, planned are 2"), std::string::npos);
  model.stages()[0].plan({.rows = 3});
  EXPECT_NE(caught<ShapeError>([&] { scores(model, context, wide); }).find("9 columns"), std::string::npos);
  const ConstMatrix<double> padded(Kokkos::subview(wide, Kokkos::ALL, std::pair(0, 7)));
  EXPECT_NE(caught<ShapeError>([&] { scores(model, context, padded); }).find("9 elements apart"), std::string::npos);
}

TEST(model, without_memory_for_its_weights_reads_those_of_the_call) {
  Model<double> with = mlp(), without = make_mlp<double>({7, {5, 4}, 3, Activation::tanh}, {.weights = false});
  EXPECT_EQ(without.parameters().extent(0), 0u);
  EXPECT_EQ(without.bytes(), 0u);
  EXPECT_EQ(without.table().size(), with.table().size());
  for (Model<double>* model : {&with, &without}) model->stages()[0].plan({.rows = 9});
  const test::Data<double> data(with, 9);
  kernels::Context context;
  Observer nobody;
  const Window<const double> weights{ConstVector<double>(with.parameters())};
  const Stage<double>& stage = without.stages()[0];
  const auto y = stage.forward(stage.place(without.call(context, nobody, weights), 0, 0), data.x);
  EXPECT_EQ(test::on_host(y), scores(with, context, data.x));
  EXPECT_NE(caught<ShapeError>([&] { scores(without, context, data.x); }).find("the window covers [0, 0)"),
            std::string::npos);
}

TEST(model, labels_that_do_not_fit_are_refused) {
  Model<double> model = make_mlp<double>({7, {5}, 13, Activation::tanh});
  kernels::Context context;
  SerialStep<double> step(context, model, 11);
  test::Data<double> data(model, 11);
  data.label = Vector<std::int32_t>("label", 143);  // 11 rows of 13 scores
  EXPECT_NE(caught<ShapeError>([&] { step.run(data.batch()); }).find("label has 143 elements"), std::string::npos);
}

TEST(model, units_must_fit_each_other) {
  using L = Layers<float>;
  const LayerList<float> layers = {L::linear("first", {.K = whole(3), .N = {4}}),
                                   L::linear("second", {.K = whole(5), .N = {2}})};
  EXPECT_NE(caught<ShapeError>([&] {
              Model<float>(layers, {1, 2}, {});
            }).find("second takes 5 columns, first"),
            std::string::npos);
  EXPECT_NE(caught<ShapeError>([&] {
              Model<float>({layers[0]}, {1, 3}, {});
            }).find("expected 1 labels of 3 classes"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([&] {
              Model<float>({layers[0]}, {1, 4}, {}, {1});
            }).find("ascending cuts"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([&] {
              Model<float>({layers[0], L::linear("first", {.K = whole(4), .N = {4}})}, {1, 4}, {});
            }).find("two tensors have this name"),
            std::string::npos);
}

TEST(model, shapes_that_cannot_be_are_refused_when_they_are_written_down) {
  EXPECT_NE(caught<UsageError>([] { gpt_layers<float>({.H = 0}); }).find("H = 0"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { gpt_layers<float>({.V = 0}); }).find("V = 0"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { gpt_layers<float>({.C = 10, .H = 4}); }).find("4 heads"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { gpt_layers<float>({.dropout = -0.5}); }).find("dropout of -0.5"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([] { gpt_layers<float>({.dropout = 1}); }).find("[0, 1)"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { cnn_layers<float>({.groups = 5}); }).find("5 groups"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { cnn_layers<float>({.width = {}}); }).find("no group"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] {
              cnn_layers<float>({.rows = 2, .columns = 2, .width = {1, 1, 1, 1, 1}, .classes = 0});
            }).find("0 classes"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([] {
              mlp_layers<float>({7, {0}, 3, Activation::relu});
            }).find("0 columns"),
            std::string::npos);
}

TEST(model, layers_are_named_by_their_number_whatever_the_activation) {
  for (const Activation activation : {Activation::relu, Activation::gelu}) {
    const Model<double> model = mlp(activation);
    std::vector<std::string> names;
    for (const Parameter& parameter : model.table().parameters()) names.push_back(parameter.name);
    EXPECT_EQ(names, (std::vector<std::string>{"linear0.weight", "linear0.bias", "linear1.weight", "linear1.bias",
                                               "linear2.weight", "linear2.bias"}));
  }
}

TEST(model, counts_parameters_and_flop) {
  const Model<float> model = make_mlp<float>({784, {512, 256}, 10, Activation::relu});
  EXPECT_EQ(model.table().size(), 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10);
  const double products = 2.0 * 32 * (784 * 512 + 512 * 256 + 256 * 10);
  const PassFlop flop = model.flop(32);
  EXPECT_GE(flop.forward, products);
  EXPECT_LT(flop.forward, 1.01 * products);
  // dW of every layer and dx of all but the first.
  const double backward = flop.backward_input + flop.backward_weights;
  EXPECT_GE(backward, 2 * products - 2.0 * 32 * 784 * 512);
  EXPECT_LT(backward, 1.01 * (2 * products - 2.0 * 32 * 784 * 512));
}

TEST(model, describes_itself_a_unit_a_line) {
  const std::string text = make_gpt<float>({.V = 11, .T = 4, .C = 8, .H = 2, .blocks = 1}).describe();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 13 + 1);
  for (const char* part : {"block0.qkv", "feed-forward", "attention", "norm", "head"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  // token and position tables, norms, qkv, proj, up, down, head
  const index_t parameters = 11 * 8 + 4 * 8 + 3 * 16 + (8 * 24 + 24) + (64 + 8) + (8 * 32 + 32) + (32 * 8 + 8) + 8 * 11;
  EXPECT_NE(text.find(std::to_string(parameters) + " parameters"), std::string::npos) << text;
}

}  // namespace
}  // namespace partita::nn::model_tests
