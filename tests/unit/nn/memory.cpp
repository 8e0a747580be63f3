// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/norm_cells.hpp>

#include "counting.hpp"
#include "problem.hpp"

// What a slot and a model cost in bytes is a function; what Kokkos hands out is held to it.

namespace partita::nn::memory_tests {
namespace {

using test::Counting;

struct Case {
  const char* name;
  Model<float> (*make)();
};

class memory : public ::testing::TestWithParam<Case> {};

TEST_P(memory, of_a_stage_is_the_function) {
  Model<float> model = GetParam().make();
  for (const StagePlan& plan : {StagePlan{.rows = 6}, StagePlan{.rows = 3, .pieces = 2, .slots = 4},
                                StagePlan{.rows = 5, .pieces = 2, .slots = 3, .pending = 2}}) {
    Stage<float>& stage = model.stages()[0];
    const Counting counting("partita::nn::Stage");
    stage.plan(plan);
    EXPECT_TRUE(counting.is(stage.bytes(plan)));
  }
}

TEST_P(memory, of_a_model_and_an_update_is_the_function) {
  std::size_t model_bytes = 0;
  {
    const Counting counting("partita::nn::Model");
    const Model<float> model = GetParam().make();
    model_bytes = model.bytes();
    EXPECT_TRUE(counting.is(model_bytes));
  }
  const Model<float> model = GetParam().make();
  const kernels::OptimizerOptions adam{.kind = kernels::Optimizer::adam};
  const Counting counting("partita::nn::Update");
  const Update<float> update(Exec(), {.optimizer = adam}, model);
  const std::size_t expected = Update<float>::bytes(adam, model.table().size(), std::ssize(norm_cells(model.table())));
  EXPECT_TRUE(counting.is(expected));
}

// A share of a third: the rule's buffers are its own, squares are kept of all cells.
TEST(memory, of_an_update_of_a_share_is_the_function) {
  const Model<bfloat16> model = make_mlp<bfloat16>({300, {300, 200}, 7, kernels::Activation::gelu});
  const kernels::OptimizerOptions adam{.kind = kernels::Optimizer::adam};
  const std::vector<kernels::NormCell> cells = norm_cells(model.table());
  for (std::size_t rank = 0; rank < 3; ++rank) {
    const std::vector<index_t> cuts = cell_cuts(model.table(), {0, model.table().size()}, 3);
    const Ownership own{.ranges = {{cuts[rank], cuts[rank + 1] - cuts[rank]}}};
    const Counting counting("partita::nn::Update");
    const Update<bfloat16> update(Exec(), {.optimizer = adam}, model, own, model.parameters());
    const auto owned_cells = cells_of(own.ranges, cells)[0].extent;
    const std::size_t expected = Update<bfloat16>::bytes(adam, own.size(), std::ssize(cells), owned_cells);
    EXPECT_TRUE(counting.is(expected));
    EXPECT_LT(expected, Update<bfloat16>::bytes(adam, model.table().size(), std::ssize(cells)) * 2 / 5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    models, memory,
    ::testing::Values(Case{"mlp",
                           [] {
                             return make_mlp<float>({20, {30, 20}, 7, kernels::Activation::gelu});
                           }},
                      Case{"gpt", [] { return make_gpt<float>({.V = 7, .T = 5, .C = 32, .H = 2, .blocks = 2}); }},
                      Case{"resnet",
                           [] {
                             return make_cnn<float>({.rows = 8, .columns = 8, .width = {4, 8}, .depth = 1});
                           }},
                      Case{"vgg",
                           [] {
                             return make_cnn<float>({.kind = CnnKind::vgg, .rows = 8, .columns = 8, .width = {4, 8}});
                           }}),
    [](const auto& at) { return at.param.name; });

// The GPT of tests/perf/compare_models.py: a slot used to hold every activation and its gradient, 2 (A + logits), by
// the same alignment. Counted here from the published shapes: units of a block give C, 3 C, C, C and C, F, F, C
// columns.
TEST(memory, a_gpts_slot_and_gradient_buffers_are_at_most_60_percent_of_activations_with_gradients) {
  constexpr index_t B = 8, T = 256, C = 256, F = 1024, V = 256, H = 4, blocks = 4;
  const Model<float> model = make_gpt<float>({.V = V, .T = T, .C = C, .H = H, .blocks = blocks});
  const index_t inside = (C + 3 * C + C) + (C + F + F), between = 2 * C;  // of a block: in branches, and residuals
  const index_t activations = C + blocks * (inside + between) + C + V;    // embedding, blocks, norm, head
  const index_t saved = blocks * (2 * 2 + H) + 2;                         // norms' mean and rstd, attention's lse
  const double before = 4.0 * B * T * static_cast<double>(2 * activations + saved);
  const double now = static_cast<double>(model.stages()[0].bytes({.rows = B}));
  EXPECT_LE(now / before, 0.6);
  RecordProperty("ratio", std::to_string(now / before));
}

}  // namespace
}  // namespace partita::nn::memory_tests
