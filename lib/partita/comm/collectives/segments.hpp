// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <partita/core/partition.hpp>

namespace partita::comm {

/// Which of n elements belongs to which of P ranks: adjacent parts in the order of the ranks, that may be empty.
class Segments {
 public:
  /// As even as can be: partition(n, P, rank). No memory.
  Segments(index_t n, int P) : n_(n), P_(P) {}
  /// Rank r has [bounds[r], bounds[r + 1]).
  /// Throws   ShapeError unless bounds are at least two numbers that ascend from 0.
  explicit Segments(std::vector<index_t> bounds);
  /// All elements on one rank.
  static Segments on(int root, index_t n, int P);

  Range operator[](index_t rank) const {
    if (!bounds_) {
      const Slice part = partition(n_, P_, rank);
      return {part.offset, part.extent};
    }
    const auto at = static_cast<std::size_t>(rank);
    return {(*bounds_)[at], (*bounds_)[at + 1] - (*bounds_)[at]};
  }
  index_t elements() const { return n_; }
  int ranks() const { return P_; }
  index_t longest() const;

 private:
  index_t n_;
  int P_;
  std::shared_ptr<const std::vector<index_t>> bounds_;  // null: even
};

/// The leaves of a tree (core/tree.hpp), and which of them each rank has: partition(count, P, rank), or
/// [bounds[rank], bounds[rank + 1]). A number stands for so many, shared evenly.
struct Leaves {
  Leaves(index_t C, std::vector<index_t> uneven = {}) : count(C), bounds(std::move(uneven)) {}

  /// Throws   ShapeError unless bounds are none, or P + 1 numbers that ascend from 0 to count.
  Segments over(int P) const;

  index_t count;
  std::vector<index_t> bounds;
};

}  // namespace partita::comm
