// SPDX-License-Identifier: BSD-3-Clause
// Tokens that come in parts, their keys and values put behind those of before, are attended to as they are all at once.
#include <partita/core/error.hpp>
#include <partita/kernels/attention.hpp>

#include <support/caught.hpp>
#include "numbers.hpp"

namespace partita::kernels::test::cached_attention_tests {
namespace {

template <class Scalar>
struct Case {
  static constexpr index_t B = 3, T = 131, H = 2, D = 5, C = H * D;
  Context context;
  std::vector<Scalar> q = random_values<Scalar>(1, B*T*C), k = random_values<Scalar>(2, B*T*C),
                      v = random_values<Scalar>(3, B*T*C);

  static AttentionOptions options(AttentionAlgorithm algorithm, index_t tokens) {
    return {.T = tokens, .H = H, .causal = true, .algorithm = algorithm, .queries = {}};
  }
  std::vector<Scalar> at_once(AttentionAlgorithm algorithm) {
    const Placed<Scalar> all_q(q, B * T, C), all_k(k, B * T, C), all_v(v, B * T, C), y(B * T, C);
    const auto lse = to_device(std::vector<accumulate_t<Scalar>>(B * H * T));
    attention_forward<Scalar>(context, options(algorithm, T), all_q.matrix(), all_k.matrix(), all_v.matrix(),
                              y.matrix(), lse);
    context.exec().fence();
    return y.values();
  }
  // Rows [first, first + n) of each sample, of those with S a sample.
  static std::vector<Scalar> some(const std::vector<Scalar>& of, index_t first, index_t n) {
    std::vector<Scalar> rows;
    for (index_t b = 0; b < B; ++b)
      rows.insert(rows.end(), of.begin() + (b * T + first) * C, of.begin() + (b * T + first + n) * C);
    return rows;
  }
  // The first `tokens` rows of each sample; behind them what must not be read.
  static std::vector<Scalar> cache(const std::vector<Scalar>& of, index_t tokens, index_t S) {
    std::vector<Scalar> rows(B * S * C, Scalar(std::numeric_limits<float>::quiet_NaN()));
    for (index_t b = 0; b < B; ++b) std::copy_n(of.begin() + b * T * C, tokens * C, rows.begin() + b * S * C);
    return rows;
  }
  std::vector<Scalar> after(AttentionAlgorithm algorithm, index_t past, index_t n, index_t S, Placement p) {
    const index_t total = past + n;
    AttentionOptions with = options(algorithm, total);
    with.queries = {past, n, total};
    const Placed<Scalar> new_q(some(q, past, n), B * n, C, p), all_k(cache(k, total, S), B * S, C, p),
        all_v(cache(v, total, S), B * S, C, p), y(B * n, C, p);
    const auto lse = to_device(std::vector<accumulate_t<Scalar>>(B * H * n));
    attention_cached<Scalar>(context, with, new_q.matrix(), all_k.matrix(), all_v.matrix(), y.matrix(), lse);
    context.exec().fence();
    EXPECT_TRUE(y.surroundings_untouched());
    return y.values();
  }
};

template <class Scalar>
void expect_bits_of_the_whole() {
  Case<Scalar> of;
  for (const AttentionAlgorithm algorithm : {AttentionAlgorithm::blockwise, AttentionAlgorithm::plain}) {
    const std::vector<Scalar> whole = of.at_once(algorithm);
    for (const auto& [past, n] :
         {std::pair<index_t, index_t>(0, 131), {0, 1}, {0, 64}, {1, 1}, {63, 1}, {64, 1}, {65, 17}, {129, 2}, {130, 1}})
      for (const Placement& p : placements)
        for (const index_t S : {past + n, index_t(140)})
          EXPECT_TRUE(same_bits(of.after(algorithm, past, n, S, p), Case<Scalar>::some(whole, past, n)))
              << name(algorithm) << ", " << n << " tokens after " << past << " of " << S;
  }
}

TEST(cached_attention, has_the_bits_of_all_tokens_at_once) {
  expect_bits_of_the_whole<float>();
  expect_bits_of_the_whole<double>();
  expect_bits_of_the_whole<bfloat16>();
}

TEST(cached_attention, of_nobody_does_nothing) {
  Context context;
  const Matrix<float> none("none", 0, 6);
  attention_cached<float>(context, {.T = 4, .H = 2, .queries = {3, 1, 4}}, none, none, none, none, Vector<float>());
}

TEST(cached_attention, errors_name_operand_and_extents) {
  Context context;
  const Matrix<float> q("q", 2, 6), k("k", 8, 6), short_k("k", 6, 6), odd_k("k", 7, 6), narrow("k", 8, 4);
  const Vector<float> lse("lse", 4);
  const auto complaint = [&](const Matrix<float>& keys, const Matrix<float>& values, AttentionOptions options) {
    return caught<ShapeError>([&] { attention_cached<float>(context, options, q, keys, values, q, lse); });
  };
  const AttentionOptions last{.T = 4, .H = 2, .queries = {3, 1, 4}};
  EXPECT_EQ(complaint(short_k, short_k, last),
            "attention_cached: k has 6 rows for 2 samples of T = 4 tokens: expected k (B S, H D) with S >= T");
  EXPECT_EQ(complaint(odd_k, odd_k, last),
            "attention_cached: k has 7 rows for 2 samples of T = 4 tokens: expected k (B S, H D) with S >= T");
  EXPECT_NE(complaint(narrow, narrow, last).find("k has 4 columns, q has 6 columns"), std::string::npos);
  EXPECT_EQ(complaint(k, narrow, last).substr(0, 19), "attention_cached: v");
  EXPECT_EQ(complaint(k, k, {.T = 4, .H = 2, .queries = {1, 3, 4}}),
            "attention_cached: q has 2 rows, Q is 3: expected q (B Q, H D)");
}

}  // namespace
}  // namespace partita::kernels::test::cached_attention_tests
