// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::parallel {

/// Adjacent ranges of a flat buffer: range k is [bounds[k], bounds[k + 1]).
class Cuts {
 public:
  /// At least two bounds, ascending.
  explicit Cuts(std::vector<index_t> bounds) : bounds_(std::move(bounds)) {}

  int size() const { return static_cast<int>(bounds_.size()) - 1; }
  Range operator[](int k) const {
    const auto at = static_cast<std::size_t>(k);
    return {bounds_[at], bounds_[at + 1] - bounds_[at]};
  }
  const std::vector<index_t>& bounds() const { return bounds_; }
  Range whole() const { return {bounds_.front(), bounds_.back() - bounds_.front()}; }
  /// The range that holds an element.
  int holding(index_t element) const {
    return static_cast<int>(std::upper_bound(bounds_.begin(), bounds_.end(), element) - bounds_.begin()) - 1;
  }
  /// Elements of the longest range.
  index_t longest() const {
    index_t most = 0;
    for (int k = 0; k < size(); ++k) most = std::max(most, (*this)[k].extent);
    return most;
  }

 private:
  std::vector<index_t> bounds_;
};

}  // namespace partita::parallel
