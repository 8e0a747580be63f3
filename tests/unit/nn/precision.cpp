// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cmath>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/trainer.hpp>
#include <vector>

// Models stored in 16 bits, with fp32 master weights: they learn what fp32 learns, and fp16 outlives an overflow.

namespace partita::nn {
namespace {

constexpr index_t B = 8, T = 6, V = 7, classes = 4;
constexpr int steps = 80;

template <class View, class Value>
View filled(View view, Value value) {
  const auto host = Kokkos::create_mirror_view(view);
  for (std::size_t i = 0; i < host.size(); ++i) host.data()[i] = value(i);
  Kokkos::deep_copy(view, host);
  return view;
}

template <class Scalar>
struct Training {
  Training(Model<Scalar> of, bool sequences, const TrainerOptions& options)
      : model(std::move(of)),
        trainer(model, context,
                FlatOptimizer<Scalar>(context.exec(), {.kind = kernels::Optimizer::adamw}, 3e-3, model.parameters()), B,
                options) {
    if (sequences) {
      tokens = filled(Matrix<std::int32_t>("tokens", B, T), [](std::size_t i) { return std::int32_t((5 * i) % V); });
      label = filled(Vector<std::int32_t>("label", B * T), [](std::size_t i) { return std::int32_t(3 * i % V); });
    } else {
      x = filled(Matrix<Scalar>("x", B, model.inputs()),
                 [](std::size_t i) { return Scalar(static_cast<float>(std::sin(0.9 * double(i)))); });
      label = filled(Vector<std::int32_t>("label", B), [](std::size_t i) { return std::int32_t(i % classes); });
    }
  }

  double step() {
    trainer.step(x, tokens, label, sum);
    context.exec().fence();
    double value = 0;
    Kokkos::deep_copy(value, sum);
    return value / static_cast<double>(label.extent(0));
  }
  std::vector<double> losses() {
    std::vector<double> all;
    for (int s = 0; s < steps; ++s) all.push_back(step());
    return all;
  }
  kernels::LossScaleState scaling() const {
    kernels::LossScaleState state;
    Kokkos::deep_copy(Kokkos::View<kernels::LossScaleState, Kokkos::HostSpace>(&state), trainer.loss_scale());
    return state;
  }

  kernels::Context context;
  Model<Scalar> model;
  Matrix<Scalar> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
  Kokkos::View<double, Memory> sum{"sum"};
  Trainer<Scalar> trainer;
};

template <class Scalar>
Training<Scalar> gpt(const TrainerOptions& options = {}) {
  return {make_gpt<Scalar>({.V = V, .T = T, .C = 16, .H = 2, .blocks = 2}, 1), true, options};
}
template <class Scalar>
Training<Scalar> cnn(const TrainerOptions& options = {}) {
  return {make_cnn<Scalar>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1, .classes = classes}, 1), false,
          options};
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
  TrainerOptions options;
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

TEST(precision_clipping, keeps_a_step_of_sgd_within_rate_times_norm) {
  kernels::Context context;
  Model<float> model = make_gpt<float>({.V = V, .T = T, .C = 16, .H = 2, .blocks = 1}, 1);
  Trainer<float> trainer(model, context, FlatOptimizer<float>(context.exec(), {}, 1.0, model.parameters()), B,
                         {.clip_norm = 0.01, .loss_scale = {}});
  const auto before = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), model.parameters());
  const std::vector<float> start(before.data(), before.data() + before.size());
  const auto tokens = filled(Matrix<std::int32_t>("tokens", B, T), [](std::size_t i) { return std::int32_t(i % V); });
  const auto label = filled(Vector<std::int32_t>("label", B * T), [](std::size_t) { return std::int32_t(1); });
  trainer.step({}, tokens, label, Kokkos::View<double, Memory>("sum"));
  context.exec().fence();
  const auto after = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), model.parameters());
  double moved = 0;
  for (std::size_t i = 0; i < start.size(); ++i) moved += std::pow(double(after(i)) - double(start[i]), 2);
  EXPECT_NEAR(std::sqrt(moved), 0.01, 1e-5);
}

}  // namespace
}  // namespace partita::nn
