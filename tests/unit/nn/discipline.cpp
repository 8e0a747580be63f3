// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/trainer.hpp>
#include <support/discipline.hpp>

// Whole training steps: after the first one they allocate nothing, fence nothing, launch nothing without our label, and
// they learn.

namespace partita::nn {
namespace {

struct Case {
  const char* name;
  kernels::Backend backend;
};

struct Training {
  Training(const std::string& name, kernels::Backend backend)
      : context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}}),
        model(make(name)),
        x("x", name == "gpt" ? 0 : B, model.inputs()),
        tokens("tokens", name == "gpt" ? B : 0, T),
        label("label", name == "gpt" ? B * T : B),
        trainer(model, context,
                FlatOptimizer<float>(context.exec(), {.kind = kernels::Optimizer::adamw}, 3e-3, model.parameters()),
                B) {
    const auto host_tokens = Kokkos::create_mirror_view(tokens);
    for (std::size_t i = 0; i < host_tokens.size(); ++i) host_tokens.data()[i] = static_cast<std::int32_t>(i % 4);
    Kokkos::deep_copy(tokens, host_tokens);
    if (name == "gpt")
      x = {};
    else
      tokens = {};
    const auto host_x = Kokkos::create_mirror_view(x);
    for (std::size_t i = 0; i < host_x.size(); ++i) host_x.data()[i] = static_cast<float>(normal(3, Stream::test, i));
    Kokkos::deep_copy(x, host_x);
    const auto host_label = Kokkos::create_mirror_view(label);
    for (std::size_t i = 0; i < host_label.size(); ++i) host_label(i) = static_cast<std::int32_t>(i % 4);
    Kokkos::deep_copy(label, host_label);
  }

  static Model<float> make(const std::string& name) {
    if (name == "gpt") return make_gpt<float>({.V = 7, .T = T, .C = 32, .H = 2, .blocks = 2, .dropout = 0.1}, 1);
    if (name == "resnet") return make_cnn<float>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1}, 1);
    if (name == "vgg") return make_cnn<float>({.kind = CnnKind::vgg, .rows = 8, .columns = 8, .width = {4, 8}}, 1);
    return make_mlp<float>({20, {30, 20}, 7, kernels::Activation::gelu}, 1);
  }

  double step() {
    trainer.step(x, tokens, label, sum);
    context.exec().fence();
    double value = 0;
    Kokkos::deep_copy(value, sum);
    return value;
  }

  static constexpr index_t B = 6, T = 5;
  kernels::Context context;
  Model<float> model;
  Matrix<float> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
  Kokkos::View<double, Memory> sum{"sum"};
  Trainer<float> trainer;
};

class discipline : public ::testing::TestWithParam<Case> {};

TEST_P(discipline, a_step_has_own_labels_and_neither_fences_nor_view_allocations) {
  Training training(GetParam().name, GetParam().backend);
  training.step();
  ::partita::test::expect_own_labels_and_no_fences(training.context.exec(), 5, [&] {
    training.trainer.step(training.x, training.tokens, training.label, training.sum);
  });
}

TEST_P(discipline, a_step_asks_the_heap_for_nothing) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Training training(GetParam().name, GetParam().backend);
  training.step();
  training.step();
  ::partita::test::expect_no_allocation(
      false, [&] { training.trainer.step(training.x, training.tokens, training.label, training.sum); });
}

TEST_P(discipline, steps_lower_the_loss) {
  Training training(GetParam().name, GetParam().backend);
  const double first = training.step();
  double last = first;
  for (int s = 0; s < 60; ++s) last = training.step();
  EXPECT_LT(last, 0.7 * first);
}

INSTANTIATE_TEST_SUITE_P(
    models, discipline,
    ::testing::Values(Case{"mlp", kernels::Backend::automatic}, Case{"gpt", kernels::Backend::automatic},
                      Case{"gpt", kernels::Backend::portable}, Case{"resnet", kernels::Backend::automatic},
                      Case{"resnet", kernels::Backend::portable}, Case{"vgg", kernels::Backend::automatic}),
    [](const auto& at) {
      return std::string(at.param.name) + (at.param.backend == kernels::Backend::portable ? "_portable" : "");
    });

}  // namespace
}  // namespace partita::nn
