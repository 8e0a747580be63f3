// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/index.hpp>
#include <partita/kernels/store.hpp>

// Closed-form work of every kernel. A multiply-add is 2 flop; a transcendental, a division, a root, a comparison is 1.
// Bytes: every operand moved once between memory and the core, whatever the caches do. `element` is bytes per number.

namespace partita::kernels::cost {

struct Cost {
  double flop = 0;
  double byte = 0;

  constexpr Cost operator+(Cost other) const { return {flop + other.flop, byte + other.byte}; }
  constexpr Cost operator*(double times) const { return {flop * times, byte * times}; }
  constexpr bool operator==(const Cost&) const = default;
};

/// Bytes per number of sums of `element` bytes that are not rounded: gradients of weights. See accumulate_t.
constexpr index_t sum_element(index_t element) { return element < 4 ? 4 : element; }

/// Gradients of `n` weights that are stored, of sum_element bytes: written, or read, added to and written.
constexpr Cost stored_sums(Store store, double n, index_t element) {
  const bool adds = store == Store::accumulate;
  return {adds ? n : 0, double(sum_element(element)) * n * (adds ? 2 : 1)};
}

}  // namespace partita::kernels::cost
