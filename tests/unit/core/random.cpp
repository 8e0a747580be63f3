// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/core/types.hpp>

namespace {

using namespace partita;

struct KnownAnswer {
  PhiloxCounter counter;
  PhiloxKey key;
  PhiloxCounter expected;
};

// Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
constexpr KnownAnswer known_answers[] = {{{{0, 0, 0, 0}}, {{0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
                                         {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
                                          {{0xffffffff, 0xffffffff}},
                                          {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
                                         {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
                                          {{0xa4093822, 0x299f31d0}},
                                          {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}};

TEST(random, philox_matches_the_published_vectors) {
  for (const KnownAnswer& known : known_answers) {
    const PhiloxCounter got = philox4x32_10(known.counter, known.key);
    for (int w = 0; w < 4; ++w) EXPECT_EQ(got.word[w], known.expected.word[w]);
  }
}

TEST(random, every_bit_of_seed_stream_and_index_counts) {
  std::set<std::uint64_t> seen{random_bits(0, Stream{0}, 0)};
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = std::uint64_t{1} << bit;
    seen.insert(random_bits(one, Stream{0}, 0));
    seen.insert(random_bits(0, Stream{one}, 0));
    seen.insert(random_bits(0, Stream{0}, one));
  }
  EXPECT_EQ(seen.size(), 1u + 3u * 64u);
}

TEST(random, substreams_are_streams_of_their_own) {
  std::set<std::uint64_t> seen;
  for (const Stream stream : {Stream::weights, Stream::dropout}) {
    seen.insert(static_cast<std::uint64_t>(stream));
    for (std::uint64_t w = 0; w < 10; ++w) seen.insert(static_cast<std::uint64_t>(substream(stream, w)));
  }
  EXPECT_EQ(seen.size(), 22u);
}

constexpr int draws = 100000;
constexpr double five_sigma =
    5.0;  // the draws are fixed: this says how unlikely a wrong generator is to pass, not how often a right one fails

TEST(random, uniform_has_the_moments_of_the_unit_interval) {
  double sum = 0, square = 0, least = 1, most = 0;
  std::array<int, 16> histogram{};
  for (int i = 0; i < draws; ++i) {
    const double u = uniform(1, Stream::test, i);
    ASSERT_TRUE(0 <= u && u < 1);
    sum += u;
    square += u * u;
    least = std::min(least, u);
    most = std::max(most, u);
    ++histogram[static_cast<std::size_t>(16 * u)];
  }
  EXPECT_NEAR(sum / draws, 0.5, five_sigma * std::sqrt(1.0 / 12 / draws));
  EXPECT_NEAR(square / draws, 1.0 / 3, five_sigma * std::sqrt(4.0 / 45 / draws));
  EXPECT_LT(least, 20.0 / draws);
  EXPECT_GT(most, 1 - 20.0 / draws);
  for (const int count : histogram) EXPECT_NEAR(count, draws / 16.0, five_sigma * std::sqrt(draws / 16.0));
}

TEST(random, normal_has_the_moments_and_tails_of_the_normal_distribution) {
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, streams = 0;
  int within_one = 0, beyond_three = 0;
  for (int i = 0; i < draws; ++i) {
    const double z = normal(1, Stream::test, i);
    ASSERT_LT(std::abs(z), 8.6);
    m1 += z;
    m2 += z * z;
    m3 += z * z * z;
    m4 += z * z * z * z;
    neighbours += z * normal(1, Stream::test, i + 1);
    streams += z * normal(1, Stream::weights, i);
    within_one += std::abs(z) < 1;
    beyond_three += std::abs(z) > 3;
  }
  const double n = draws;
  EXPECT_NEAR(m1 / n, 0, five_sigma * std::sqrt(1 / n));
  EXPECT_NEAR(m2 / n, 1, five_sigma * std::sqrt(2 / n));
  EXPECT_NEAR(m3 / n, 0, five_sigma * std::sqrt(15 / n));
  EXPECT_NEAR(m4 / n, 3, five_sigma * std::sqrt(96 / n));
  EXPECT_NEAR(neighbours / n, 0, five_sigma * std::sqrt(1 / n));
  EXPECT_NEAR(streams / n, 0, five_sigma * std::sqrt(1 / n));
  EXPECT_NEAR(within_one / n, 0.682689, five_sigma * std::sqrt(0.22 / n));
  EXPECT_NEAR(beyond_three / n, 0.0026998, five_sigma * std::sqrt(0.0027 / n));
}

TEST(random, normal_is_the_transform_of_box_and_muller) {
  constexpr double pi = 3.14159265358979323846;
  constexpr double tolerance = 8 * 8.6 * 2.2e-16;  // some roundings of numbers up to 8.6
  for (int i = 0; i < 1000; ++i) {
    const PhiloxCounter block = random_block(1, Stream::test, i);
    const double u = std::ldexp(static_cast<double>((std::uint64_t{block.word[1]} << 32 | block.word[0]) >> 11), -53);
    const double v = std::ldexp(static_cast<double>((std::uint64_t{block.word[3]} << 32 | block.word[2]) >> 11), -53);
    EXPECT_NEAR(normal(1, Stream::test, i), std::sqrt(-2 * std::log1p(-u)) * std::cos(2 * pi * v), tolerance);
  }
}

TEST(random, permute_is_a_bijection_of_every_extent) {
  std::vector<index_t> extents{63, 64, 65, 100, 255, 256, 257, 1000, 1025, 60000};
  for (index_t n = 1; n <= 40; ++n) extents.push_back(n);
  for (const index_t n : extents) {
    std::vector<bool> seen(n);
    for (index_t i = 0; i < n; ++i) {
      const index_t p = permute(3, 5, i, n);
      ASSERT_TRUE(0 <= p && p < n) << n;
      ASSERT_FALSE(seen[p]) << n;
      seen[p] = true;
    }
  }
  EXPECT_LT(permute(1, 0, 12345, index_t{1} << 62), index_t{1} << 62);
}

TEST(random, permute_reaches_every_order_about_equally_often) {
  constexpr int epochs = 24000;
  std::map<std::array<index_t, 4>, int> orders;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    std::array<index_t, 4> order{};
    for (index_t i = 0; i < 4; ++i) order[i] = permute(9, epoch, i, 4);
    ++orders[order];
  }
  ASSERT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, epochs / 24.0, five_sigma * std::sqrt(epochs / 24.0));
}

TEST(random, permute_depends_on_seed_and_epoch) {
  constexpr index_t n = 1000;
  int same_epoch = 0, same_seed = 0, in_place = 0;
  for (index_t i = 0; i < n; ++i) {
    same_epoch += permute(1, 0, i, n) == permute(2, 0, i, n);
    same_seed += permute(1, 0, i, n) == permute(1, 1, i, n);
    in_place += permute(1, 0, i, n) == i;
  }
  // One coincidence is expected, Poisson: more than ten would be the wrong generator.
  EXPECT_LT(same_epoch, 10);
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(in_place, 10);
}

// A function of its own: nvcc takes no lambda for the device from the private body of a test.
void draw(const Vector<std::uint64_t>& bits, const Vector<index_t>& order) {
  const auto n = static_cast<index_t>(bits.extent(0));
  Kokkos::parallel_for(
      "partita::test::draw", Kokkos::RangePolicy<Exec>(0, n), KOKKOS_LAMBDA(index_t i) {
        bits(i) = random_bits(11, Stream::test, static_cast<std::uint64_t>(i));
        order(i) = permute(11, 2, i, n);
      });
}

TEST(random, kernels_draw_what_the_host_draws) {
  constexpr index_t n = 1000;
  const Vector<std::uint64_t> bits("partita::test::bits", n);
  const Vector<index_t> order("partita::test::order", n);
  draw(bits, order);
  const auto host_bits = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, bits);
  const auto host_order = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, order);
  for (index_t i = 0; i < n; ++i) {
    ASSERT_EQ(host_bits(i), random_bits(11, Stream::test, i));
    ASSERT_EQ(host_order(i), permute(11, 2, i, n));
  }
}

// FNV-1a's published 64-bit values of "" and "foobar" (Fowler, Noll, Vo), without their lowest nine bits.
TEST(random, name_key_is_fnv) {
  EXPECT_EQ(name_key(""), 0xcbf29ce484222325u >> 9);
  EXPECT_EQ(name_key("foobar"), 0x85944171f73967e8u >> 9);
  EXPECT_NE(name_key("linear0.weight"), name_key("linear1.weight"));
}

}  // namespace
