// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>

#include <support/discipline.hpp>
#include "problem.hpp"

// Whole training steps: after the first one they allocate nothing, fence nothing, launch nothing without our label, and
// they learn.

namespace partita::nn::discipline_tests {
namespace {

struct Case {
  const char* name;
  kernels::Backend backend;
  index_t chunks;  // 0: fast mode
};

struct Training {
  explicit Training(const Case& of)
      : context(Exec(), {.backend = of.backend, .deterministic = of.chunks > 0, .per_kernel = {}}),
        model(make(of.name, {.chunks = std::max<index_t>(of.chunks, 1)})),
        data(model, B),
        step(context, model, B,
             {.update = {.optimizer = {.kind = kernels::Optimizer::adamw}, .learning_rate = 3e-3, .clip_norm = 5},
              .micro_batches = 2,
              .chunks = of.chunks}) {
    if (model.reads_tokens()) test::filled(data.tokens, [](std::size_t i) { return static_cast<std::int32_t>(i % 4); });
    test::filled(data.label, [](std::size_t i) { return static_cast<std::int32_t>(i % 4); });
  }

  static Model<float> make(const std::string& name, const ModelOptions& options) {
    if (name == "gpt") return make_gpt<float>({.V = 7, .T = 5, .C = 32, .H = 2, .blocks = 2, .dropout = 0.1}, options);
    if (name == "gpt_recomputed")
      return make_gpt<float>(
          {.V = 7, .T = 5, .C = 32, .H = 2, .blocks = 2, .dropout = 0.1, .recompute = Recompute::attention}, options);
    if (name == "resnet") return make_cnn<float>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1}, options);
    if (name == "resnet_recomputed")
      return make_cnn<float>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1, .recompute = Recompute::block},
                             options);
    if (name == "vgg")
      return make_cnn<float>({.kind = CnnKind::vgg, .rows = 8, .columns = 8, .width = {4, 8}}, options);
    return make_mlp<float>({20, {30, 20}, 7, kernels::Activation::gelu}, options);
  }

  void run() { step.run(data.batch()); }
  double loss() {
    run();
    context.exec().fence();
    double sum = 0;
    for (const double term : test::on_host(step.losses)) sum += term;
    return sum;
  }

  static constexpr index_t B = 6;
  kernels::Context context;
  Model<float> model;
  test::Data<float> data;
  SerialStep<float> step;
};

class discipline : public ::testing::TestWithParam<Case> {};

TEST_P(discipline, a_step_has_own_labels_and_neither_fences_nor_view_allocations) {
  Training training(GetParam());
  training.run();
  ::partita::test::expect_own_labels_and_no_fences(training.context.exec(), 5, [&] { training.run(); });
}

TEST_P(discipline, a_step_asks_the_heap_for_nothing) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Training training(GetParam());
  training.run();
  training.run();
  ::partita::test::expect_no_allocation(false, [&] { training.run(); });
}

TEST_P(discipline, steps_lower_the_loss) {
  Training training(GetParam());
  const double first = training.loss();
  double last = first;
  for (int s = 0; s < 60; ++s) last = training.loss();
  EXPECT_LT(last, 0.7 * first);
}

INSTANTIATE_TEST_SUITE_P(
    models, discipline,
    ::testing::Values(Case{"mlp", kernels::Backend::automatic, 0}, Case{"gpt", kernels::Backend::automatic, 0},
                      Case{"gpt", kernels::Backend::portable, 3},
                      Case{"gpt_recomputed", kernels::Backend::automatic, 0},
                      Case{"resnet_recomputed", kernels::Backend::portable, 3},
                      Case{"resnet", kernels::Backend::automatic, 0}, Case{"resnet", kernels::Backend::portable, 3},
                      Case{"vgg", kernels::Backend::automatic, 0}),
    [](const auto& at) { return std::string(at.param.name) + (at.param.chunks > 0 ? "_deterministic" : ""); });

}  // namespace
}  // namespace partita::nn::discipline_tests
