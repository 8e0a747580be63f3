// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/synthetic_tokens.hpp>

namespace partita::data::synthetic_tokens_tests {
namespace {

constexpr index_t V = 13, T = 40;

struct Sequences {
  std::vector<std::int32_t> tokens, label;
};

template <class View>
std::vector<std::int32_t> on_host(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.size()};
}

Sequences rows(const SyntheticTokensOptions& options, Split split, index_t first, index_t B) {
  const Matrix<std::int32_t> tokens("tokens", B, T);
  const Vector<std::int32_t> label("label", B * T);
  synthetic_tokens_rows(Exec(), options, split, first, tokens, label);
  Exec().fence();
  return {on_host(tokens), on_host(label)};
}

TEST(synthetic_tokens, labels_are_the_next_tokens) {
  const Sequences s = rows({.V = V, .noise = 0.3}, Split::train, 0, 20);
  for (std::size_t b = 0; b < 20; ++b)
    for (std::size_t t = 0; t + 1 < T; ++t) EXPECT_EQ(s.label[b * T + t], s.tokens[b * T + t + 1]);
  for (const std::int32_t token : s.tokens) {
    EXPECT_GE(token, 0);
    EXPECT_LT(token, V);
  }
}

TEST(synthetic_tokens, without_noise_the_next_token_is_a_permutation_of_the_last) {
  const Sequences s = rows({.V = V, .noise = 0}, Split::train, 0, 50);
  std::map<std::int32_t, std::int32_t> next;
  std::set<std::int32_t> images;
  for (std::size_t i = 0; i < s.tokens.size(); ++i) {
    const auto [at, fresh] = next.emplace(s.tokens[i], s.label[i]);
    EXPECT_EQ(at->second, s.label[i]);
    if (fresh) images.insert(s.label[i]);
  }
  EXPECT_EQ(std::ssize(next), V);
  EXPECT_EQ(std::ssize(images), V);
}

// Share of transitions that follow the permutation: 1 - noise + noise / V, within five standard errors.
TEST(synthetic_tokens, noise_is_the_share_of_random_tokens) {
  const Sequences sure = rows({.V = V, .noise = 0}, Split::train, 0, 50),
                  s = rows({.V = V, .noise = 0.25}, Split::train, 0, 400);
  std::map<std::int32_t, std::int32_t> next;
  for (std::size_t i = 0; i < sure.tokens.size(); ++i) next[sure.tokens[i]] = sure.label[i];
  double follow = 0;
  for (std::size_t i = 0; i < s.tokens.size(); ++i) follow += next[s.tokens[i]] == s.label[i];
  const double n = static_cast<double>(s.tokens.size()), p = 0.75 + 0.25 / V;
  EXPECT_NEAR(follow / n, p, 5 * std::sqrt(p * (1 - p) / n));
}

TEST(synthetic_tokens, a_rank_makes_its_rows_of_the_batch) {
  const SyntheticTokensOptions options{.V = V};
  const Sampler sampler(3, 100, 12);
  const auto batch = [&](Slice mine) {
    const Matrix<std::int32_t> tokens("tokens", mine.extent, T);
    const Vector<std::int32_t> label("label", mine.extent * T);
    synthetic_tokens_batch(Exec(), options, sampler, 4, mine, tokens, label);
    Exec().fence();
    return on_host(tokens);
  };
  const std::vector<std::int32_t> all = batch(whole(12)), some = batch({5, 4, 12});
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 5 * T));
  EXPECT_NE(rows(options, Split::train, 0, 4).tokens, rows(options, Split::held_out, 0, 4).tokens);
}

TEST(synthetic_tokens, least_loss_is_the_entropy_of_the_next_token) {
  EXPECT_EQ(synthetic_tokens_loss({.V = V, .noise = 0}), 0);
  EXPECT_NEAR(synthetic_tokens_loss({.V = V, .noise = 1}), std::log(13.0), 1e-12);
  const double r = 0.5 / V, q = 0.5 + r;
  EXPECT_NEAR(synthetic_tokens_loss({.V = V, .noise = 0.5}), -q * std::log(q) - (V - 1) * r * std::log(r), 1e-12);
}

TEST(synthetic_tokens, extents_that_do_not_fit_are_refused) {
  const Matrix<std::int32_t> tokens("tokens", 2, T);
  EXPECT_THROW(synthetic_tokens_rows(Exec(), {}, Split::train, 0, tokens, Vector<std::int32_t>("label", T)),
               ShapeError);
}

}  // namespace
}  // namespace partita::data::synthetic_tokens_tests
