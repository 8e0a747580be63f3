// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/bag.hpp>

#include <support/caught.hpp>

namespace partita::data::bag_tests {
namespace {

using partita::testing::caught;
using Keys = std::vector<std::int32_t>;

struct Samples {
  std::vector<Keys> keys;
  std::vector<std::int32_t> label;
};

void append(Samples& to, const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  const auto keys = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tokens);
  const auto labels = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, label);
  for (std::size_t b = 0; b < keys.extent(0); ++b) {
    to.keys.emplace_back(&keys(b, 0), &keys(b, 0) + keys.extent(1));
    to.label.push_back(labels(b));
  }
}

template <class Write>
Samples written(index_t rows, index_t T, const Write& write) {
  const Matrix<std::int32_t> tokens("partita::test::tokens", static_cast<std::size_t>(rows),
                                    static_cast<std::size_t>(T));
  const Vector<std::int32_t> label("partita::test::label", static_cast<std::size_t>(rows));
  write(tokens, label);
  Samples samples;
  append(samples, tokens, label);
  return samples;
}

Samples rows_of(const Bags& bags, Split split, index_t first, index_t count) {
  return written(count, bags.options().T,
                 [&](const auto& tokens, const auto& label) { bag_rows(Exec{}, bags, split, first, tokens, label); });
}

// So many keys that no two of the few ranks below collide.
constexpr index_t many = (index_t{1} << 31) - 1;

TEST(bag, ranks_follow_the_zipf_law) {
  for (const double exponent : {0.0, 0.8, 1.5}) {
    const index_t R = 50;
    const Bags bags({.seed = 5, .V = many, .T = 7, .classes = 1, .ranks = R, .exponent = exponent, .noise = 0});
    std::map<std::int32_t, double> count;
    const Samples samples = rows_of(bags, Split::train, 0, 20000);
    for (const Keys& keys : samples.keys)
      for (const std::int32_t key : keys) ++count[key];
    double sum = 0, square = 0, total = 0;
    for (index_t r = 1; r <= R; ++r) sum += std::pow(static_cast<double>(r), -exponent);
    for (index_t r = 1; r <= R; ++r) {
      const double expected = 140000 * std::pow(static_cast<double>(r), -exponent) / sum;
      const double seen = count[bag_key(bags.options(), 0, r)];
      square += (seen - expected) * (seen - expected) / expected;
      total += seen;
    }
    EXPECT_EQ(total, 140000) << "no other key";
    // Chi-square of R - 1 degrees of freedom: mean R - 1, variance 2 (R - 1).
    EXPECT_NEAR(square, R - 1, 5 * std::sqrt(2.0 * (R - 1))) << exponent;
  }
}

TEST(bag, noise_is_the_share_of_common_keys_and_classes_are_equally_likely) {
  const Bags bags({.seed = 2, .V = many, .T = 10, .classes = 4, .ranks = 20, .exponent = 1, .noise = 0.3});
  std::set<std::int32_t> common;
  std::vector<std::set<std::int32_t>> own(4);
  for (index_t r = 1; r <= 20; ++r) {
    common.insert(bag_key(bags.options(), -1, r));
    for (std::int32_t c = 0; c < 4; ++c) own[static_cast<std::size_t>(c)].insert(bag_key(bags.options(), c, r));
  }
  const Samples samples = rows_of(bags, Split::train, 0, 5000);
  double shared = 0;
  std::vector<double> times(4);
  for (std::size_t i = 0; i < samples.keys.size(); ++i) {
    const std::int32_t c = samples.label[i];
    EXPECT_EQ(c, bag_label(bags.options(), static_cast<index_t>(i)));
    ++times.at(static_cast<std::size_t>(c));
    for (const std::int32_t key : samples.keys[i]) {
      const bool is_common = common.count(key) == 1;
      shared += is_common ? 1 : 0;
      EXPECT_TRUE(is_common || own[static_cast<std::size_t>(c)].count(key) == 1) << "a key of another class";
    }
  }
  EXPECT_NEAR(shared / 50000, 0.3, 5 * std::sqrt(0.3 * 0.7 / 50000));
  for (const double n : times) EXPECT_NEAR(n, 1250, 5 * std::sqrt(5000 * 0.25 * 0.75));
}

TEST(bag, a_sample_is_a_function_of_its_index_however_it_is_asked_for) {
  const Bags bags({.seed = 3, .V = 97, .T = 5, .classes = 6, .ranks = 40});
  const Sampler sampler(8, 60, 13);
  const Samples all = rows_of(bags, Split::train, 0, 60);
  std::vector<index_t> chosen;
  for (index_t b = 0; b < 13; ++b) chosen.push_back(sampler.sample(9, b));
  const Vector<index_t> list("partita::test::list", 13);
  const auto host = Kokkos::create_mirror_view(list);
  std::copy(chosen.begin(), chosen.end(), host.data());
  Kokkos::deep_copy(list, host);
  Samples shared;
  for (index_t rank = 0; rank < 3; ++rank) {
    const Slice rows = partition(13, 3, rank);
    const Samples part = written(rows.extent, 5, [&](const auto& tokens, const auto& label) {
      bag_batch(Exec{}, bags, sampler, 9, rows, tokens, label);
    });
    shared.keys.insert(shared.keys.end(), part.keys.begin(), part.keys.end());
    shared.label.insert(shared.label.end(), part.label.begin(), part.label.end());
  }
  const Samples listed =
      written(13, 5, [&](const auto& tokens, const auto& label) { bag_samples(Exec{}, bags, list, tokens, label); });
  EXPECT_EQ(listed.keys, shared.keys);
  EXPECT_EQ(listed.label, shared.label);
  for (std::size_t b = 0; b < 13; ++b) {
    EXPECT_EQ(shared.keys[b], all.keys[static_cast<std::size_t>(chosen[b])]);
    EXPECT_EQ(shared.label[b], all.label[static_cast<std::size_t>(chosen[b])]);
  }
  for (const Keys& keys : all.keys)
    for (const std::int32_t key : keys) EXPECT_TRUE(key >= 0 && key < 97) << key;
}

TEST(bag, held_out_samples_are_others_of_the_same_laws) {
  const Bags bags({.seed = 3, .V = many, .T = 30, .classes = 1, .ranks = 6, .noise = 0});
  const Samples train = rows_of(bags, Split::train, 0, 20), held_out = rows_of(bags, Split::held_out, 0, 20);
  EXPECT_NE(train.keys, held_out.keys);
  std::set<std::int32_t> features[2];
  for (const Keys& keys : train.keys) features[0].insert(keys.begin(), keys.end());
  for (const Keys& keys : held_out.keys) features[1].insert(keys.begin(), keys.end());
  EXPECT_EQ(features[0].size(), 6u);
  EXPECT_EQ(features[0], features[1]);
  EXPECT_EQ(rows_of(bags, Split::held_out, 5, 3).keys.front(), held_out.keys[5]);
}

TEST(bag, what_cannot_be_is_refused) {
  EXPECT_EQ(caught<UsageError>([] { Bags({.V = 0}); }),
            "Bags: 16 of 0 keys, 1024 ranks, 10 classes: expected at least 1 of each, and keys of 31 bits");
  EXPECT_EQ(caught<UsageError>([] { Bags({.noise = 1.5}); }),
            "Bags: exponent is 1.000000, noise 1.500000: expected an exponent >= 0 and a noise in [0, 1]");
  EXPECT_THROW(Bags({.V = many + 1}), UsageError);
  EXPECT_THROW(Bags({.exponent = -1}), UsageError);
  const Bags bags({.T = 4});
  const Matrix<std::int32_t> tokens("partita::test::tokens", 3, 5);
  const Vector<std::int32_t> label("partita::test::label", 3);
  EXPECT_EQ(caught<ShapeError>([&] { bag_rows(Exec{}, bags, Split::train, 0, tokens, label); }),
            "bag_rows: tokens is (3, 5), a bag has 4 keys: expected tokens (B, T)");
}

}  // namespace
}  // namespace partita::data::bag_tests
