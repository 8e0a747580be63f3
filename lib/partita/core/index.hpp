// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace partita {

/// Every extent, offset and count. Signed, so that a difference of two of them is one too.
using index_t = std::int64_t;

/// A contiguous range of a flat buffer: [offset, offset + extent), in elements.
struct Range {
  index_t offset = 0;
  index_t extent = 0;

  constexpr index_t end() const { return offset + extent; }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

/// What part of a global extent is mine: global indices [offset, offset + extent) of [0, global).
struct Slice {
  index_t offset = 0;
  index_t extent = 0;
  index_t global = 0;

  constexpr index_t end() const { return offset + extent; }
  constexpr bool contains(index_t i) const { return offset <= i && i < end(); }
  friend constexpr bool operator==(const Slice&, const Slice&) = default;
};

/// The slice that is everything: what a serial run owns.
constexpr Slice whole(index_t n) { return {0, n, n}; }

}  // namespace partita
