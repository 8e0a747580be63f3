// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/units/dropout.hpp>

#include "problem.hpp"

// One training step, its parts together: dropout, statistics, norms, deterministic mode, labels, slices.

namespace partita::nn::step_tests {
namespace {

using kernels::Activation;

struct Outcome {
  std::vector<float> parameters, running;
  std::vector<double> losses, norms;

  bool operator==(const Outcome&) const = default;
};

Outcome train(const LayerList<float>& layers, OutputShape output, index_t B, const SerialOptions& options,
              index_t chunks = 1) {
  kernels::Context context(
      Exec(), {.backend = kernels::Backend::automatic, .deterministic = options.chunks > 0, .per_kernel = {}});
  Model<float> model(layers, output, {.seed = 2, .chunks = chunks});
  const test::Data<float> data(model, B);
  SerialStep<float> step(context, model, B, options);
  Outcome outcome;
  for (int s = 0; s < 3; ++s) {
    step.run(data.batch());
    context.exec().fence();
    double norm = 0;
    Kokkos::deep_copy(norm, step.norm);
    outcome.norms.push_back(norm);
    for (const double loss : test::on_host(step.losses)) outcome.losses.push_back(loss);
  }
  outcome.parameters = test::on_host(model.parameters());
  outcome.running = test::on_host(model.running());
  return outcome;
}

SerialOptions adam(index_t micro_batches, index_t chunks) {
  return {.update = {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 1},
          .micro_batches = micro_batches,
          .chunks = chunks};
}

const GptShape gpt{.V = 7, .T = 5, .C = 8, .H = 2, .blocks = 1, .tied = true, .dropout = 0.2};
const CnnShape cnn{.rows = 7, .columns = 6, .channels = 2, .width = {3, 4}, .depth = 1, .classes = 4};

TEST(step, deterministic_micro_batches_are_the_same_bits) {
  for (const index_t micro_batches : {2, 4}) {
    EXPECT_EQ(train(gpt_layers<float>(gpt, 8), {5, 7}, 13, adam(micro_batches, 8), 8),
              train(gpt_layers<float>(gpt, 8), {5, 7}, 13, adam(1, 8), 8));
    EXPECT_EQ(train(cnn_layers<float>(cnn), {1, 4}, 13, adam(micro_batches, 8), 8),
              train(cnn_layers<float>(cnn), {1, 4}, 13, adam(1, 8), 8));
  }
}

TEST(step, norms_of_micro_batches_agree) {
  const Outcome one = train(gpt_layers<float>(gpt), {5, 7}, 13, adam(1, 0));
  for (const index_t micro_batches : {2, 3, 5}) {
    const Outcome many = train(gpt_layers<float>(gpt), {5, 7}, 13, adam(micro_batches, 0));
    EXPECT_NEAR(many.norms.front() / one.norms.front(), 1, 1e-5) << micro_batches;
  }
}

TEST(step, norm_is_that_of_the_gradient_and_counts_a_tied_table_once) {
  kernels::Context context;
  Model<float> model = make_gpt<float>(gpt);
  const test::Data<float> data(model, 4);
  SerialStep<float> step(context, model, 4);
  step.run(data.batch());
  context.exec().fence();
  double squares = 0, norm = 0;
  for (const float g : test::on_host(step.gradients())) squares += double(g) * double(g);
  Kokkos::deep_copy(norm, step.norm);
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-12 * norm);
}

// PyTorch's rule: running <- (1 - momentum) running + momentum (mean, unbiased variance) of the batch.
TEST(step, running_statistics_move_once_a_step_towards_the_batchs) {
  kernels::Context context;
  const LayerList<double> layers = {Layers<double>::batchnorm2d("norm", {1, 1, 3}, false)};
  Model<double> model(layers, {1, 3}, {});
  const test::Data<double> data(model, 5);
  SerialStep<double> step(context, model, 5, {.update = {.learning_rate = 1e-9}});
  const std::vector<double> x = test::on_host(data.x);
  std::vector<double> expected = {0, 0, 0, 1, 1, 1};
  for (int s = 0; s < 2; ++s) {
    step.run(data.batch());
    for (std::size_t c = 0; c < 3; ++c) {
      double mean = 0, squares = 0;
      for (std::size_t b = 0; b < 5; ++b) mean += x[3 * b + c] / 5;
      for (std::size_t b = 0; b < 5; ++b) squares += std::pow(x[3 * b + c] - mean, 2);
      expected[c] = 0.9 * expected[c] + 0.1 * mean;
      expected[3 + c] = 0.9 * expected[3 + c] + 0.1 * squares / 4;
    }
  }
  context.exec().fence();
  const std::vector<double> got = test::on_host(model.running());
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(got[i], expected[i], 1e-14) << i;
}

// The share of a piece in the batch's statistics is its rows: uneven micro-batches weigh unevenly.
TEST(step, statistics_of_uneven_micro_batches_are_weighted_by_their_rows) {
  kernels::Context context;
  const LayerList<double> layers = {Layers<double>::batchnorm2d("norm", {1, 1, 1}, false)};
  Model<double> model(layers, {1, 1}, {});
  const test::Data<double> data(model, 5);
  SerialStep<double> step(context, model, 5, {.micro_batches = 2});
  step.run(data.batch());
  context.exec().fence();
  const std::vector<double> x = test::on_host(data.x);
  const double first = (x[0] + x[1] + x[2]) / 3, second = (x[3] + x[4]) / 2;
  EXPECT_NEAR(test::on_host(model.running())[0], 0.1 * (0.6 * first + 0.4 * second), 1e-15);
}

std::vector<double> dropped(Dropout<double>& unit, std::uint64_t step, Slice rows, bool replay = false) {
  kernels::Context context;
  Observer nobody;
  const Vector<double> none("none", 0);
  const Window<const double> weights{ConstVector<double>(none)};
  Call<double> call{.context = context, .weights = weights, .running = weights, .observer = nobody};
  call.step = step;
  call.rows = rows;
  call.replay = replay;
  const Matrix<double> x("x", rows.extent, unit.inputs()), y("y", rows.extent, unit.inputs());
  Kokkos::deep_copy(x, 1.0);
  unit.forward(call, x, y);
  context.exec().fence();
  return test::on_host(y);
}

TEST(step, dropout_differs_between_steps_units_and_rows_and_a_replay_draws_the_same) {
  Dropout<double> unit("a", whole(40), 0.5), other("b", whole(40), 0.5);
  const std::vector<double> mask = dropped(unit, 3, {0, 6, 12});
  EXPECT_NE(dropped(unit, 4, {0, 6, 12}), mask);
  EXPECT_NE(dropped(unit, 3, {6, 6, 12}), mask);  // another rank's rows
  EXPECT_NE(dropped(other, 3, {0, 6, 12}), mask);
  EXPECT_EQ(dropped(unit, 3, {0, 6, 12}, true), mask);
  // Rows and columns of the whole: a rank with some of both.
  Dropout<double> columns("a", {10, 20, 40}, 0.5);
  const std::vector<double> part = dropped(columns, 3, {2, 3, 12});
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 20; ++c) EXPECT_EQ(part[r * 20 + c], mask[(r + 2) * 40 + c + 10]);
}

TEST(step, a_label_of_minus_one_counts_in_neither_loss_nor_gradient) {
  Model<double> model = make_mlp<double>({4, {}, 3, Activation::relu});
  kernels::Context context;
  test::Data<double> data(model, 6);
  SerialStep<double> some(context, model, 6, {.update = {.learning_rate = 1e-12}});
  test::filled(data.label, [](std::size_t i) { return i % 2 == 0 ? static_cast<std::int32_t>(i / 2) : -1; });
  Batch<double> batch = data.batch();
  batch.counted = 3;
  some.run(batch);
  // The same as the three rows alone.
  Matrix<double> x("x", 3, 4);
  for (int r = 0; r < 3; ++r)
    Kokkos::deep_copy(Kokkos::subview(x, r, Kokkos::ALL), Kokkos::subview(data.x, 2 * r, Kokkos::ALL));
  const auto label = test::filled(Vector<std::int32_t>("label", 3), [](std::size_t i) { return std::int32_t(i); });
  Model<double> again = make_mlp<double>({4, {}, 3, Activation::relu});
  SerialStep<double> three(context, again, 3, {.update = {.learning_rate = 1e-12}});
  three.run({x, {}, label});
  context.exec().fence();
  EXPECT_NEAR(test::on_host(some.losses)[0], test::on_host(three.losses)[0], 1e-14);
  const std::vector<double> got = test::on_host(some.gradients()), expected = test::on_host(three.gradients());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-15);
}

TEST(step, a_label_out_of_range_shows_in_loss_and_gradient) {
  Model<float> model = make_mlp<float>({4, {5}, 3, Activation::relu});
  kernels::Context context;
  test::Data<float> data(model, 6);
  SerialStep<float> step(context, model, 6);
  test::filled(data.label, [](std::size_t i) { return static_cast<std::int32_t>(i == 2 ? 3 : 0); });
  step.run(data.batch());
  context.exec().fence();
  EXPECT_TRUE(std::isnan(test::on_host(step.losses)[0]));
  double norm = 0;
  Kokkos::deep_copy(norm, step.norm);
  EXPECT_TRUE(std::isnan(norm));
}

// Two halves of every block's heads and hidden columns: what the two projections give adds up to the whole's, when the
// one that ends a branch has its bias on one half alone.
TEST(step, slices_of_a_gpt_hold_the_weights_of_the_whole) {
  const GptShape shape{.V = 5, .T = 3, .C = 8, .H = 4, .blocks = 1};
  const Model<float> all = make_gpt<float>(shape), part = make_gpt<float>(shape, {}, {{1, 2, 4}, {8, 16, 32}, {}, {}});
  const std::vector<float> w = test::on_host(all.parameters()), p = test::on_host(part.parameters());
  const auto at = [](const Model<float>& model, const char* name) { return model.table().at(name).range.offset; };
  for (index_t j = 0; j < 3; ++j)       // q, k, v
    for (index_t h = 0; h < 2; ++h)     // heads 1 and 2
      for (index_t i = 0; i < 16; ++i)  // 2 rows of 8
        EXPECT_EQ(p[at(part, "block0.qkv.weight") + (j * 2 + h) * 16 + i],
                  w[at(all, "block0.qkv.weight") + (j * 4 + h + 1) * 16 + i]);
  for (index_t c = 0; c < 8; ++c)
    for (index_t f = 0; f < 16; ++f)
      EXPECT_EQ(p[at(part, "block0.down.weight") + c * 16 + f], w[at(all, "block0.down.weight") + c * 32 + 8 + f]);
}

struct Heard final : Observer {
  void before(const Moment& moment, std::span<const Range>, const Exec&) override {
    EXPECT_LE(depth++, 1);
    moments.push_back(moment);
  }
  void after(const Moment&, std::span<const Range>, const Exec&) override { --depth; }
  std::vector<Moment> moments;
  int depth = 0;
};

TEST(step, observer_hears_every_leaf_and_loss_exchange_and_update) {
  kernels::Context context;
  Model<float> model = make_gpt<float>(gpt);
  const test::Data<float> data(model, 4);
  SerialStep<float> step(context, model, 4, {.micro_batches = 2});
  Heard heard;
  step.run(data.batch(), heard);
  EXPECT_EQ(heard.depth, 0);
  std::map<Part, std::multiset<index_t>> units;
  for (const Moment& moment : heard.moments) units[moment.part].insert(moment.unit);
  for (const Unit<float>* unit : model.units()) {
    EXPECT_EQ(units[Part::forward].count(unit->number()), 2u) << unit->name();
    EXPECT_EQ(units[Part::backward_weights].count(unit->number()), unit->reads().empty() ? 0u : 2u) << unit->name();
    EXPECT_EQ(units[Part::backward_input].count(unit->number()), 2u) << unit->name();
  }
  EXPECT_EQ(units[Part::loss].size(), 2u);
  EXPECT_EQ(units[Part::exchange].size(), 1u);
  EXPECT_EQ(units[Part::update].size(), 1u);
  EXPECT_EQ(heard.moments.back().part, Part::update);
}

}  // namespace
}  // namespace partita::nn::step_tests
