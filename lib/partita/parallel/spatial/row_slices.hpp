// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <partita/comm/collectives/exchange.hpp>
#include <partita/core/index.hpp>

// Which image rows are where, and which of them travel: arithmetic alone.

namespace partita::parallel {

/// The rows of every image of a network, shared by ranks: those of its input by partition(rows, ranks, .), and a row of
/// a later image lies where the input row lies that its windows begin from, `reduction` (the product of all strides)
/// input rows for one. So a 3 x 3 convolution reads at most one row of a neighbour, and a 1 x 1 one none, whatever the
/// stride and however uneven the slices.
///
///     28 rows over 3 ranks   10  9  9   | 0 .. 10 | 10 .. 19 | 19 .. 28 |
///     14 rows, reduction 2    5  5  4   | 0 ..  5 |  5 .. 10 | 10 .. 14 |
///      7 rows, reduction 4    3  2  2   | 0 ..  3 |  3 ..  5 |  5 ..  7 |
class RowSlices {
 public:
  /// Throws   ShapeError for fewer than one rank.
  RowSlices(index_t rows, int ranks);

  int ranks() const { return static_cast<int>(bounds_.size()) - 1; }
  /// Of an image with so many rows.
  Slice of(int rank, index_t rows, index_t reduction) const {
    const index_t first = bound(rank, rows, reduction);
    return {first, bound(rank + 1, rows, reduction) - first, rows};
  }
  /// First rows of ranks 0, 1, ..., and `rows`: what comm::TreeNodes takes.
  std::vector<index_t> bounds(index_t rows, index_t reduction) const;

 private:
  index_t bound(int rank, index_t rows, index_t reduction) const {
    if (rank == ranks()) return rows;
    return std::min(rows, (bounds_[static_cast<std::size_t>(rank)] + reduction - 1) / reduction);
  }

  std::vector<index_t> bounds_;
};

/// Some rows of an image, and the rows that they are made from.
struct RowBlock {
  Slice made, read;

  friend bool operator==(const RowBlock&, const RowBlock&) = default;
};

/// The most rows that one of them reads, or makes.
index_t most_rows(const std::vector<RowBlock>& blocks, Slice RowBlock::*which);

/// What a rank that has rows `own` of an image must have to compute its part, and what travels for it.
struct RowHalo {
  Slice own, needed;   ///< needed: without rows beyond the image's edge
  comm::Borders rows;  ///< of an image, to and from the neighbours
  bool any() const { return rows.to_left + rows.to_right + rows.from_left + rows.from_right > 0; }
};

/// A convolution or a pooling of rows that ranks share: a rank's slices of input and output, what it gets from its
/// neighbours, and what is left to be computed once that has arrived.
///
///     k = 3, s = 1, p = 1, rows 4 .. 7 are here      x   | 3 | 4 5 6 7 | 8 |      from above, from below
///     of x and of y                                  y       | 4 . . 7 |          made of others' rows, too
///
/// Backward reads rows of dy as forward reads rows of x.
struct RowStencil {
  Slice in, out;
  RowHalo forward, backward;          ///< of x; of dy
  std::vector<RowBlock> edges;        ///< rows of y that read rows of x from elsewhere
  std::vector<RowBlock> edges_of_dx;  ///< rows of dx that read rows of dy from elsewhere
};

/// Rows of the input that rows `out` read, and rows of the output that read rows `in`: without what lies beyond the
/// image's edge. Shape is kernels::Conv2dShape or Pool2dShape, of the whole image.
template <class Shape>
Slice rows_read(const Shape& whole, Slice out);
template <class Shape>
Slice rows_reading(const Shape& whole, Slice in);

/// What `rank` does. reduction: of the input.
/// Throws   UsageError, on all ranks alike: naming the unit, where a rank would have no row, or fewer than a neighbour
///          needs of it.
template <class Shape>
RowStencil row_stencil(const std::string& unit, const Shape& whole, const RowSlices& slices, index_t reduction,
                       int rank);

/// Bytes that a rank sends for B images in a step of one forward and one backward pass: rows above and below, `row`
/// numbers each.
///
///     B e ((to above + to below) columns C + (dy to above + dy to below) columns' F)
index_t halo_bytes(const RowStencil& stencil, index_t B, index_t row_of_x, index_t row_of_dy, index_t element_bytes);

}  // namespace partita::parallel
