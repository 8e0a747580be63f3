// SPDX-License-Identifier: BSD-3-Clause
// A model that is given its tokens in parts, keys and values kept, gives the scores of whole sequences.
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/cached.hpp>
#include <partita/nn/gpt.hpp>

#include <support/caught.hpp>
#include "problem.hpp"

namespace partita::nn::test::cached_tests {
namespace {

using partita::testing::caught;

const GptShape shape{.V = 11, .T = 9, .C = 12, .H = 3, .blocks = 2, .F = 17, .tied = true};

template <class Scalar>
Model<Scalar> in_parts(const GptShape& of, index_t tokens, KeyValueCache<Scalar>& cache, index_t chunks) {
  const Between<Scalar> nothing;
  GptShape some = of;
  some.T = tokens;
  return {gpt_layers<Scalar>(some, chunks, {}, CachedBetween<Scalar>(nothing, cache)),
          {tokens, of.V},
          {.seed = 1, .chunks = chunks, .weights = false}};
}

template <class Scalar>
struct Fixture {
  static constexpr index_t B = 3;
  explicit Fixture(index_t leaves = 1)
      : context(Exec(), {.backend = kernels::Backend::automatic, .deterministic = leaves > 1, .per_kernel = {}}),
        model(make_gpt<Scalar>(shape, {.seed = 3, .chunks = leaves})),
        data(model, B),
        chunks(leaves) {}

  // Scores of tokens [first, first + n) of the data's rows `rows`.
  std::vector<Scalar> scores(Model<Scalar>& of, index_t first, index_t n, Slice rows) {
    Matrix<std::int32_t> tokens("tokens", rows.extent, n);
    for (index_t b = 0; b < rows.extent; ++b)
      for (index_t t = 0; t < n; ++t) tokens(b, t) = data.tokens(rows.offset + b, (first + t) % shape.T);
    Observer nobody;
    Call<Scalar> call = of.call(context, nobody, model.call(context, nobody).weights);
    call.training = false;
    call.tokens = tokens;
    call.rows = rows;
    call.past = first;
    Stage<Scalar>& stage = of.stages().front();
    stage.plan({.rows = rows.extent});
    const ConstMatrix<Scalar> y = stage.forward(stage.place(call, 0, 0), {});
    context.exec().fence();
    return on_host(y);
  }
  // The same of the whole model.
  std::vector<Scalar> of_the_whole(index_t first, index_t n, Slice rows) {
    const std::vector<Scalar> all = scores(model, 0, shape.T, whole(B));
    std::vector<Scalar> some;
    for (index_t b = rows.offset; b < rows.end(); ++b)
      some.insert(some.end(), all.begin() + (b * shape.T + first) * shape.V,
                  all.begin() + (b * shape.T + first + n) * shape.V);
    return some;
  }

  kernels::Context context;
  Model<Scalar> model;
  Data<Scalar> data;
  index_t chunks;
};

template <class Scalar>
void expect_bits_of_whole_sequences() {
  Fixture<Scalar> of(4);  // portable kernels: a row's bits depend on it alone
  KeyValueCache<Scalar> cache(whole(of.B), shape.T);
  Model<Scalar> five = in_parts(shape, 5, cache, of.chunks), one = in_parts(shape, 1, cache, of.chunks);
  ASSERT_EQ(one.table().size(), of.model.table().size());
  for (const Slice rows : {Slice{0, 1, 3}, Slice{1, 2, 3}}) {
    EXPECT_EQ(of.scores(five, 0, 5, rows), of.of_the_whole(0, 5, rows));
    for (index_t t = 5; t < shape.T; ++t) EXPECT_EQ(of.scores(one, t, 1, rows), of.of_the_whole(t, 1, rows)) << t;
  }
  // What was thought of a sequence's end is forgotten when it begins anew.
  EXPECT_EQ(of.scores(one, 0, 1, {0, 1, 3}), of.of_the_whole(0, 1, {0, 1, 3}));
}

TEST(cached, scores_have_the_bits_of_whole_sequences) {
  expect_bits_of_whole_sequences<double>();
  expect_bits_of_whole_sequences<float>();
}

TEST(cached, in_fast_mode_scores_are_near_those_of_whole_sequences) {
  Fixture<double> of;
  KeyValueCache<double> cache(whole(of.B), shape.T);
  Model<double> three = in_parts(shape, 3, cache, 1);
  for (index_t t = 0; t < shape.T; t += 3) {
    const std::vector<double> got = of.scores(three, t, 3, whole(3)), expected = of.of_the_whole(t, 3, whole(3));
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << "token " << t;
  }
}

TEST(cached, a_cache_takes_two_numbers_a_token_and_column_of_each_block) {
  KeyValueCache<bfloat16> cache({4, 3, 9}, shape.T);
  const Model<bfloat16> one = in_parts(shape, 1, cache, 1), two = in_parts(shape, 2, cache, 1);
  EXPECT_EQ(cache.bytes(), 2 * shape.blocks * 3 * shape.T * shape.C * 2);
}

TEST(cached, tokens_and_rows_beyond_the_cache_are_refused) {
  Fixture<double> of;
  KeyValueCache<double> cache({1, 1, 3}, shape.T);
  Model<double> two = in_parts(shape, 2, cache, 1);
  EXPECT_EQ(caught<ShapeError>([&] {
              of.scores(two, 8, 2, {1, 1, 3});
            }),
            "embedding: tokens [8, 10): expected 9 tokens at most");
  EXPECT_EQ(caught<ShapeError>([&] {
              of.scores(two, 0, 2, {2, 1, 3});
            }),
            "block0.attention: tokens [0, 2) of rows [2, 3): expected 9 tokens of rows [1, 2)");
}

}  // namespace
}  // namespace partita::nn::test::cached_tests
