// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include <Kokkos_Macros.hpp>
#include <Kokkos_MathematicalConstants.hpp>
#include <Kokkos_MathematicalFunctions.hpp>

#include <partita/core/index.hpp>

// Counter-based random numbers: a value is a function of (seed, stream, index) and of nothing else, so that ranks,
// threads and devices draw the same without talking. Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011.

namespace partita {

/// What a number is drawn for. Values are part of the results' identity: append, never renumber; below 256, see
/// substream().
enum class Stream : std::uint64_t {
  weights = 1,
  data_order = 2,
  synthetic_label = 3,
  synthetic_prototype = 4,
  synthetic_noise = 5,
  dropout = 6,
  synthetic_token = 7,
  text_offset = 8,
  sampled_token = 9,
  compute_time = 10,
  slow_down = 11,
  label_skew = 12,
  zipf_key = 13,
  bag_label = 14,
  test = 255
};

/// The w-th independent stream of the same purpose: parameter w, layer w, ...
KOKKOS_INLINE_FUNCTION constexpr Stream substream(Stream stream, std::uint64_t w) {
  return static_cast<Stream>(static_cast<std::uint64_t>(stream) | (w + 1) << 8);
}

/// The key of a name, for substream(): 64-bit FNV-1a without its lowest nine bits, below 2^55. Numbers that are drawn
/// for a tensor or a unit depend on what it is called, never on how many were declared before it.
constexpr std::uint64_t name_key(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  return hash >> 9;
}

struct PhiloxCounter {
  std::uint32_t word[4];
};
struct PhiloxKey {
  std::uint32_t word[2];
};

/// Ten rounds of Philox4x32: a bijection of the counters for each key.
KOKKOS_INLINE_FUNCTION constexpr PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key.word[0], static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key.word[1], static_cast<std::uint32_t>(a)}};
    key.word[0] += 0x9E3779B9u;  // golden ratio
    key.word[1] += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return counter;
}

namespace detail {

KOKKOS_INLINE_FUNCTION constexpr PhiloxKey philox_key(std::uint64_t seed) {
  return {{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
}

KOKKOS_INLINE_FUNCTION constexpr std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return low | static_cast<std::uint64_t>(high) << 32;
}

/// Multiples of 2^-53 in [0, 1).
KOKKOS_INLINE_FUNCTION constexpr double unit_interval(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace detail

/// 128 uniformly distributed bits as four words: what the numbers below are made of.
KOKKOS_INLINE_FUNCTION constexpr PhiloxCounter random_block(std::uint64_t seed, Stream stream, std::uint64_t index) {
  const auto s = static_cast<std::uint64_t>(stream);
  return philox4x32_10({{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                         static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(s >> 32)}},
                       detail::philox_key(seed));
}

/// 64 uniformly distributed bits.
KOKKOS_INLINE_FUNCTION constexpr std::uint64_t random_bits(std::uint64_t seed, Stream stream, std::uint64_t index) {
  const PhiloxCounter block = random_block(seed, stream, index);
  return detail::join(block.word[0], block.word[1]);
}

/// Uniform in [0, 1), a multiple of 2^-53.
KOKKOS_INLINE_FUNCTION constexpr double uniform(std::uint64_t seed, Stream stream, std::uint64_t index) {
  return detail::unit_interval(random_bits(seed, stream, index));
}

/// Standard normal by Box and Muller (1958), one value per index, |z| < 8.6.
/// The bits are those of the platform's log, sqrt and cos: a device may differ from a host in the last place.
KOKKOS_INLINE_FUNCTION double normal(std::uint64_t seed, Stream stream, std::uint64_t index) {
  const PhiloxCounter block = random_block(seed, stream, index);
  const double u = 1.0 - detail::unit_interval(detail::join(block.word[0], block.word[1]));  // (0, 1]: log is finite
  const double v = detail::unit_interval(detail::join(block.word[2], block.word[3]));
  return Kokkos::sqrt(-2.0 * Kokkos::log(u)) * Kokkos::cos(2.0 * Kokkos::numbers::pi * v);
}

/// Position i of a random order of [0, n): for every (seed, epoch) a bijection of [0, n), computed at random access.
///
/// Needs    0 <= i < n <= 2^62.
/// How      a balanced Feistel network over the smallest 4^h >= n whose round function is Philox, walked along its
///          cycle until it falls into [0, n) (Black and Rogaway, CT-RSA 2002): fewer than 4 walks of 6 rounds on
///          average.
KOKKOS_INLINE_FUNCTION constexpr index_t permute(std::uint64_t seed, std::uint64_t epoch, index_t i, index_t n) {
  const PhiloxKey key = detail::philox_key(random_bits(seed, Stream::data_order, epoch));
  int half_bits = 0;
  while ((std::uint64_t{1} << (2 * half_bits)) < static_cast<std::uint64_t>(n)) ++half_bits;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  auto x = static_cast<std::uint64_t>(i);
  do {
    std::uint64_t left = x >> half_bits;
    std::uint64_t right = x & mask;
    for (std::uint32_t round = 0; round < 6; ++round) {
      const std::uint64_t mixed =
          left ^ (philox4x32_10({{static_cast<std::uint32_t>(right), round, 0, 0}}, key).word[0] & mask);
      left = right;
      right = mixed;
    }
    x = left << half_bits | right;
  } while (x >= static_cast<std::uint64_t>(n));
  return static_cast<index_t>(x);
}

}  // namespace partita
