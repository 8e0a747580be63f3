// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/index.hpp>

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

}  // namespace partita::kernels::cost
