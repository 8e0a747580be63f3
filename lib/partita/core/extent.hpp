// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <limits>

#include <partita/core/index.hpp>

namespace partita {

/// What stands for every number that index_t cannot hold.
inline constexpr index_t too_large = std::numeric_limits<index_t>::max();

/// a b and a + b of extents, which are not negative; too_large where that does not fit.
constexpr index_t checked_product(index_t a, index_t b) {
  if (a == 0 || b == 0) return 0;
  return a > too_large / b ? too_large : a * b;
}
constexpr index_t checked_sum(index_t a, index_t b) { return a > too_large - b ? too_large : a + b; }

/// The product of all extents of a list; 1 without any. A 0 among them wins over what is too large.
template <class Extents>
constexpr index_t checked_product(const Extents& extents) {
  for (const index_t extent : extents)
    if (extent == 0) return 0;
  index_t product = 1;
  for (const index_t extent : extents) product = checked_product(product, extent);
  return product;
}

}  // namespace partita
