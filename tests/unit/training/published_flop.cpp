// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/training/published_flop.hpp>

namespace partita::training::published_flop_tests {
namespace {

ModelOptions gpt(const nn::GptShape& shape) {
  ModelOptions options;
  options.kind = ModelKind::gpt;
  options.gpt = shape;
  return options;
}

// N counts the embedding of words and positions, a tied head once and one of its own beside it:
// (2 V + T) C + L (12 C^2 + 13 C) + 2 C.
TEST(published_flop, counts_all_parameters_and_the_scores_of_attention) {
  constexpr double V = 13, T = 11, C = 20, L = 2, batch = 48;
  for (const bool tied : {false, true}) {
    const nn::GptShape shape{.V = 13, .T = 11, .C = 20, .H = 5, .blocks = 2, .tied = tied};
    const double N = ((tied ? 1 : 2) * V + T) * C + L * (12 * C * C + 13 * C) + 2 * C;
    const auto table = nn::make_gpt<float>(shape, {.weights = false}).table();
    const auto formulas = published_flop(gpt(shape), table, 48, 11);
    ASSERT_EQ(formulas.size(), 2u);
    EXPECT_EQ(formulas[0].metric, "mfu_6n_6lct");
    EXPECT_EQ(formulas[0].flop_per_step, batch * T * (6 * N + 6 * L * C * T));
    EXPECT_EQ(formulas[1].metric, "mfu_6n_12lct");
    EXPECT_EQ(formulas[1].flop_per_step, batch * T * (6 * N + 12 * L * C * T));
  }
}

TEST(published_flop, is_that_of_language_models) {
  const auto table = nn::make_mlp<float>({7, {5}, 3}, {.weights = false}).table();
  EXPECT_TRUE(published_flop({}, table, 48, 0).empty());
}

}  // namespace
}  // namespace partita::training::published_flop_tests
