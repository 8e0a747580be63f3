// SPDX-License-Identifier: BSD-3-Clause
// Activation bytes of a split GPT: the closed form is what each rank's stage plans, and for one block what Korthikanti
// et al. 2022 count, less what apps/transformer_tp/README.md says is not kept.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include <partita/parallel/tensor/between.hpp>
#include <partita/parallel/tensor/memory.hpp>
#include <partita/parallel/tensor/slices.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::parallel::test::tensor_memory_tests {
namespace {

using nn::Recompute;
using partita::test::world;

const Recompute choices[] = {Recompute::none, Recompute::attention, Recompute::block};

std::vector<TensorOptions> ways(bool deterministic) {
  std::vector<TensorOptions> all = {{}, {.sequence = true}, {.sequence = true, .regather = true}};
  for (TensorOptions& way : all) way.deterministic = deterministic;
  return all;
}

nn::GptMemory closed_form(const nn::GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                          const TensorOptions& options, index_t chunks, int ranks, int rank) {
  return nn::gpt_memory(shape, B, element, statistic, gpt_slices(shape, chunks, options.sequence, ranks, rank),
                        between_memory(shape, B, element, statistic, options, chunks, ranks, rank));
}

template <class Scalar>
class tensor_memory_of : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16>;
TYPED_TEST_SUITE(tensor_memory_of, Scalars);

template <class Scalar>
void expect_closed_form(const nn::GptShape& shape, const TensorOptions& options, index_t chunks) {
  const int ranks = world().size(), rank = world().rank();
  TensorAxis<Scalar> axis(world(), options, shape.T, nn::gpt_leaves(shape, chunks).tokens);
  const nn::GptSlices slices = gpt_slices(shape, chunks, options.sequence, ranks, rank);
  const index_t words = ranks == 1 ? shape.V : slices.vocabulary.extent;
  const nn::Model<Scalar> model(nn::gpt_layers<Scalar>(shape, chunks, slices, TensorBetween<Scalar>(axis)),
                                {shape.T, words}, {.chunks = chunks, .weights = false});
  for (const nn::StagePlan& plan :
       {nn::StagePlan{.rows = 6}, nn::StagePlan{.rows = 1, .pieces = 3}, nn::StagePlan{.rows = 5, .slots = 2}}) {
    const std::size_t planned = model.stages()[0].bytes(plan);
    const std::size_t form =
        closed_form(shape, plan.rows, sizeof(Scalar), sizeof(nn::Sum<Scalar>), options, chunks, ranks, rank)
            .stage(plan, shape.blocks);
    EXPECT_ALL(world(), planned == form) << shape.C << " rows " << plan.rows << " dropout " << shape.dropout
                                         << " sequence " << options.sequence << " regather " << options.regather
                                         << " recompute " << int(shape.recompute) << " chunks " << chunks
                                         << ": planned " << planned << ", closed form " << form;
  }
}

// Uneven: 5 heads, 7 tokens, 11 words, 23 hidden columns; 90 words, of which deterministic mode makes the most nodes.
template <class Scalar>
void expect_closed_forms(bool deterministic) {
  for (const TensorOptions& options : ways(deterministic))
    for (const Recompute recompute : choices)
      for (const double dropout : {0.0, 0.1}) {
        nn::GptShape uneven{.V = 11, .T = 7, .C = 20, .H = 5, .blocks = 2, .F = 23, .dropout = dropout};
        nn::GptShape rms{.V = 90, .T = 16, .C = 32, .H = 4, .blocks = 1, .F = 17, .rms_norm = true, .dropout = dropout};
        uneven.recompute = rms.recompute = recompute;
        for (const nn::GptShape& shape : {uneven, rms})
          expect_closed_form<Scalar>(shape, options, deterministic ? 12 : 1);
      }
}

TYPED_TEST(tensor_memory_of, is_what_a_rank_plans) { expect_closed_forms<TypeParam>(false); }

TYPED_TEST(tensor_memory_of, is_what_a_rank_plans_in_deterministic_mode) { expect_closed_forms<TypeParam>(true); }

// s, b, h, a and t as in the paper: tokens, rows, width, heads, ranks; F = 4 h, 16 bits. Theirs, without recomputation:
// s b h (10 + 24 / t + 5 a s / (h t)), and s b h / t (34 + 5 a s / h) in sequence mode.
TEST(tensor_memory, blocks_are_the_formulas_of_the_page) {
  constexpr std::size_t s = 128, b = 4, h = 256, a = 8;
  nn::GptShape shape{.V = 64, .T = s, .C = h, .H = a, .blocks = 2, .dropout = 0.1};
  for (const std::size_t t : {1, 2, 4, 8}) {
    const auto block = [&](Recompute recompute, const TensorOptions& options) {
      shape.recompute = recompute;
      return closed_form(shape, b, 2, 4, options, 1, static_cast<int>(t), static_cast<int>(t) - 1).block;
    };
    const auto [tensor, sequence, regathered] = std::array{ways(false)[0], ways(false)[1], ways(false)[2]};
    constexpr std::size_t numbers = s * b * h;
    EXPECT_EQ(block(Recompute::none, tensor), numbers * 8 + numbers * 24 / t + s * b * (16 + 4 * a / t));
    EXPECT_EQ(block(Recompute::none, regathered), (numbers * 32 + s * b * (16 + 4 * a)) / t);
    EXPECT_EQ(block(Recompute::attention, tensor), numbers * 6 + numbers * 16 / t + s * b * 8);
    EXPECT_EQ(block(Recompute::attention, regathered), (numbers * 22 + s * b * 8) / t);
    EXPECT_EQ(block(Recompute::block, tensor), numbers * 2);
    EXPECT_EQ(block(Recompute::block, regathered), numbers * 2 / t);
    EXPECT_LT(block(Recompute::none, tensor), numbers * 10 + numbers * 24 / t + 5 * a * s * s * b / t);
    EXPECT_LT(block(Recompute::none, regathered), (numbers * 34 + 5 * a * s * s * b) / t);
    if (t == 1) continue;  // nothing is gathered
    EXPECT_EQ(block(Recompute::none, sequence), numbers * 4 + (numbers * 28 + s * b * (16 + 4 * a)) / t);
    EXPECT_EQ(block(Recompute::attention, sequence), numbers * 2 + (numbers * 20 + s * b * 8) / t);
    EXPECT_EQ(block(Recompute::block, sequence), numbers * 2 / t);
  }
}

}  // namespace
}  // namespace partita::parallel::test::tensor_memory_tests
