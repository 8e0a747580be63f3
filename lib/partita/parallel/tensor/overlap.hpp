// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <compare>
#include <map>
#include <string>

#include <partita/comm/communicator.hpp>
#include <partita/core/index.hpp>

// In how many parts a product is computed whose sum over ranks goes on part by part: said, or chosen by time.

namespace partita::parallel {

/// Rows of a product, and the extents of its weight, of all ranks together.
struct ProductShape {
  index_t rows = 0, N = 0, K = 0;

  auto operator<=>(const ProductShape&) const = default;
};

/// Parts among which is chosen: never more than rows.
inline constexpr std::array<index_t, 4> chunk_candidates = {1, 2, 4, 8};

/// Seconds of a product and its sum in so many parts, as chunk_candidates; infinite where there are fewer rows.
struct OverlapTiming {
  std::array<double, chunk_candidates.size()> seconds = {};

  /// The fewest parts that take the least time, or no more than 3 % above it: as much as two calls differ.
  index_t chosen() const;
};

using OverlapTable = std::map<ProductShape, OverlapTiming>;

/// A line for each product: "rows 528 N 20 K 45 1_s 0.0031 2_s 0.0027 4_s 0.0029 8_s 0.004 chunks 2".
std::string to_text(const OverlapTable& table);

/// The parts of every product. Ranks that add up together must call all of this alike.
class OverlapChoices {
 public:
  /// asked   parts of all products; 0: by the time of each shape, which is measured in a step of warm-up.
  explicit OverlapChoices(index_t asked) : asked_(asked) {}

  /// From here to agree(), products that have no times are to be measured: by know(). Nothing where parts are said.
  void measure() { measuring_ = asked_ == 0; }
  bool must_measure(const ProductShape& product) const { return measuring_ && !timings_.contains(product); }
  void know(const ProductShape& product, const OverlapTiming& timing) { timings_[product] = timing; }

  /// Seconds are added up over ranks, so that all of them choose alike, and from here on the choice counts.
  /// Collective over `ranks`, which may have met other products each.
  void agree(const comm::Communicator& ranks);

  /// As said; or as chosen: one until ranks have agreed, and for a product that was not met before.
  index_t chunks(const ProductShape& product) const;
  index_t most() const { return asked_ > 0 ? asked_ : chunk_candidates.back(); }
  const OverlapTable& timings() const { return timings_; }

 private:
  index_t asked_;
  bool measuring_ = false;
  OverlapTable timings_;
};

}  // namespace partita::parallel
