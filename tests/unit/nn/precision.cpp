// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>

#include "problem.hpp"

// Models stored in 16 bits, with fp32 master weights: they learn what fp32 learns, and fp16 outlives an overflow.

namespace partita::nn::precision_tests {
namespace {

constexpr index_t B = 8, T = 6, V = 7, classes = 4;
constexpr int steps = 80;

template <class Scalar>
struct Training {
  Training(Model<Scalar> of, UpdateOptions options)
      : model(std::move(of)),
        data(model, B),
        step_(context, model, B, {.update = with_rule(options), .micro_batches = 2}) {
    if (model.reads_tokens())
      test::filled(data.tokens, [](std::size_t i) { return std::int32_t((5 * i) % V); });
    else
      test::filled(data.x, [](std::size_t i) { return Scalar(static_cast<float>(std::sin(0.9 * double(i)))); });
  }
  static UpdateOptions with_rule(UpdateOptions options) {
    options.optimizer.kind = kernels::Optimizer::adamw;
    options.learning_rate = 3e-3;
    return options;
  }

  double step() {
    step_.run(data.batch());
    context.exec().fence();
    double sum = 0;
    for (const double term : test::on_host(step_.losses)) sum += term;
    return sum / static_cast<double>(data.label.extent(0));
  }
  std::vector<double> losses() {
    std::vector<double> all;
    for (int s = 0; s < steps; ++s) all.push_back(step());
    return all;
  }
  kernels::LossScaleState scaling() const {
    kernels::LossScaleState state;
    Kokkos::deep_copy(Kokkos::View<kernels::LossScaleState, Kokkos::HostSpace>(&state),
                      step_.update().loss_scale_state());
    return state;
  }

  kernels::Context context;
  Model<Scalar> model;
  test::Data<Scalar> data;
  SerialStep<Scalar> step_;
};

template <class Scalar>
Training<Scalar> gpt(const UpdateOptions& options = {}) {
  return {make_gpt<Scalar>({.V = V, .T = T, .C = 16, .H = 2, .blocks = 2}), options};
}
template <class Scalar>
Training<Scalar> cnn(const UpdateOptions& options = {}) {
  return {make_cnn<Scalar>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1, .classes = classes}), options};
}

template <class Scalar>
class precision : public ::testing::Test {};
using Storages = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(precision, Storages);

// A step rounds weights, activations and gradients to 8 or 11 bits; after some tens of steps runs differ in the third
// digit of a loss that has fallen by far more.
void expect_alike(const std::vector<double>& got, const std::vector<double>& expected) {
  EXPECT_NEAR(got.front(), expected.front(), 0.02 * expected.front());
  EXPECT_LT(expected.back(), 0.7 * expected.front());
  EXPECT_NEAR(got.back(), expected.back(), 0.1 * expected.front());
}

TYPED_TEST(precision, a_gpt_learns_as_in_fp32) { expect_alike(gpt<TypeParam>().losses(), gpt<float>().losses()); }
TYPED_TEST(precision, a_cnn_learns_as_in_fp32) { expect_alike(cnn<TypeParam>().losses(), cnn<float>().losses()); }

TEST(precision_fp16, an_overflow_skips_the_step_and_lowers_the_scale) {
  UpdateOptions options;
  options.loss_scale.initial = 0x1p40;  // no gradient survives that in fp16
  Training<float16> training = gpt<float16>(options);
  const double first = training.step();
  EXPECT_EQ(training.scaling().skipped, 1);
  EXPECT_EQ(training.scaling().scale, 0x1p39);
  EXPECT_EQ(training.step(), first) << "the skipped step moved the weights";
  double last = first;
  for (int s = 0; s < steps; ++s) last = training.step();
  EXPECT_LT(training.scaling().skipped, 40);
  EXPECT_LT(last, 0.8 * first);
}

TEST(precision_fp16, a_skipped_step_changes_the_scale_alone) {
  Training<float16> training = cnn<float16>();
  training.step();
  const std::vector<float16> weights = test::on_host(training.model.parameters());
  const std::vector<float> running = test::on_host(training.model.running());
  // One infinite pixel: no gradient, and no statistic, is finite.
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), training.data.x);
  const float16 pixel = x(3, 7);
  x(3, 7) = float16(std::numeric_limits<float>::infinity());
  Kokkos::deep_copy(training.data.x, x);
  training.step();
  EXPECT_EQ(training.scaling().skipped, 1);
  EXPECT_EQ(training.scaling().scale, 0x1p15);
  EXPECT_TRUE(std::equal(weights.begin(), weights.end(), test::on_host(training.model.parameters()).begin(),
                         [](float16 a, float16 b) { return float(a) == float(b); }));
  EXPECT_EQ(test::on_host(training.model.running()), running);
  // And the run goes on.
  x(3, 7) = pixel;
  Kokkos::deep_copy(training.data.x, x);
  EXPECT_TRUE(std::isfinite(training.step()));
  EXPECT_NE(test::on_host(training.model.running()), running);
}

TEST(precision_clipping, keeps_a_step_of_sgd_within_rate_times_norm) {
  kernels::Context context;
  Model<float> model = make_gpt<float>({.V = V, .T = T, .C = 16, .H = 2, .blocks = 1});
  SerialStep<float> step(context, model, B, {.update = {.learning_rate = 1, .clip_norm = 0.01}});
  const test::Data<float> data(model, B);
  const std::vector<float> start = test::on_host(model.parameters());
  step.run(data.batch());
  context.exec().fence();
  const std::vector<float> after = test::on_host(model.parameters());
  double moved = 0;
  for (std::size_t i = 0; i < start.size(); ++i) moved += std::pow(double(after[i]) - double(start[i]), 2);
  EXPECT_NEAR(std::sqrt(moved), 0.01, 1e-5);
}

}  // namespace
}  // namespace partita::nn::precision_tests
