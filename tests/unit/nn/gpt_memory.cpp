// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/gpt_memory.hpp>

#include "counting.hpp"

// Activation bytes of a GPT: the closed form is what stages plan and what Kokkos hands out, beside published figures.

namespace partita::nn::gpt_memory_tests {
namespace {

using test::Counting;

const Recompute choices[] = {Recompute::none, Recompute::attention, Recompute::block};

template <class Scalar>
class gpt_memory_of : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(gpt_memory_of, Scalars);

template <class Scalar>
void expect_closed_form(const GptShape& shape, const GptSlices& slices = {}) {
  Model<Scalar> model = make_gpt<Scalar>(shape, {.weights = false}, slices);
  Stage<Scalar>& stage = model.stages()[0];
  for (const StagePlan& plan : {StagePlan{.rows = 6}, StagePlan{.rows = 3, .pieces = 2, .slots = 4}}) {
    const GptMemory form = gpt_memory(shape, plan.rows, sizeof(Scalar), sizeof(Sum<Scalar>), slices);
    const std::size_t expected = form.stage(plan, shape.blocks);
    EXPECT_EQ(stage.bytes(plan), expected) << shape.C << " " << shape.dropout << " " << int(shape.recompute);
    const Counting counting("partita::nn::Stage");
    stage.plan(plan);
    EXPECT_TRUE(counting.is(expected, 3));
  }
}

TYPED_TEST(gpt_memory_of, is_what_a_stage_plans_and_allocates) {
  for (const Recompute recompute : choices)
    for (const double dropout : {0.0, 0.1})
      for (const bool rms : {false, true}) {
        const auto expect = [&](GptShape shape) {
          shape.dropout = dropout;
          shape.rms_norm = rms;
          shape.recompute = recompute;
          expect_closed_form<TypeParam>(shape);
        };
        expect({.V = 7, .T = 5, .C = 12, .H = 3, .blocks = 1});
        expect({.V = 11, .T = 3, .C = 32, .H = 2, .blocks = 2, .F = 5, .tied = true});
        expect({.V = 32, .T = 16, .C = 64, .H = 4, .blocks = 3});
      }
}

// A rank with some heads and hidden columns.
TYPED_TEST(gpt_memory_of, a_slice_is_what_a_stage_plans_and_allocates) {
  for (const Recompute recompute : choices)
    expect_closed_form<TypeParam>({.V = 7, .T = 5, .C = 12, .H = 3, .blocks = 2, .F = 9, .recompute = recompute},
                                  {.heads = {1, 1, 3}, .hidden = {3, 2, 9}});
}

// s, b, h and a as in Korthikanti et al. 2022: tokens, rows, width, heads; F = 4 h, 16 bits. None: theirs is
// s b h (34 + 5 a s / h).
TEST(gpt_memory, blocks_are_the_formulas_of_the_page) {
  constexpr std::size_t s = 128, b = 4, h = 256, a = 8;
  GptShape shape{.V = 64, .T = s, .C = h, .H = a, .blocks = 2, .dropout = 0.1};
  const auto block = [&](Recompute recompute, const GptSlices& slices = {}) {
    shape.recompute = recompute;
    return gpt_memory(shape, b, 2, 4, slices).block;
  };
  EXPECT_EQ(block(Recompute::none), s * b * h * 32 + s * b * (16 + 4 * a));
  EXPECT_EQ(block(Recompute::attention), s * b * h * 22 + s * b * 8);
  EXPECT_EQ(block(Recompute::block), s * b * h * 2);
  const GptSlices fourth{.heads = {0, a / 4, a}, .hidden = {0, h, 4 * h}};
  EXPECT_EQ(block(Recompute::none, fourth), s * b * h * (8 + 24 / 4) + s * b * (16 + a));
  EXPECT_LT(block(Recompute::none), s * b * h * 34 + 5 * a * s * s * b);
}

}  // namespace
}  // namespace partita::nn::gpt_memory_tests
