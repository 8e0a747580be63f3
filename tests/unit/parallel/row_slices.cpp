// SPDX-License-Identifier: BSD-3-Clause
// Which image rows are where and which of them travel, against brute force: every window of every small extent.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/pool2d.hpp>
#include <partita/parallel/spatial/row_slices.hpp>

#include <support/caught.hpp>

namespace partita::parallel::row_slices_tests {
namespace {

using partita::testing::caught;

using Rows = std::set<index_t>;

/// A unit of some rows, and what its windows say.
struct Windows {
  index_t rows, kernel, stride, padding;

  index_t out_rows() const {
    index_t count = 0;
    while (count * stride + kernel <= rows + 2 * padding) ++count;
    return count;
  }
  Rows read(index_t out) const {
    Rows all;
    for (index_t k = 0; k < kernel; ++k)
      if (const index_t row = out * stride - padding + k; row >= 0 && row < rows) all.insert(row);
    return all;
  }
  template <class Shape>
  Shape shape() const {
    Shape shape{};
    shape.rows = rows;
    shape.columns = shape.channels = 1;
    shape.kernel_rows = kernel;
    shape.stride = stride;
    shape.padding = shape.above = shape.below = padding;
    return shape;
  }
  std::string text() const {
    return std::to_string(rows) + " rows, kernel " + std::to_string(kernel) + ", stride " + std::to_string(stride) +
           ", padding " + std::to_string(padding);
  }
};

Rows set_of(Slice rows) {
  Rows all;
  for (index_t r = rows.offset; r < rows.end(); ++r) all.insert(r);
  return all;
}

void add(Rows& to, const Rows& more) { to.insert(more.begin(), more.end()); }

// Every unit whose windows see at least a row of the image.
template <class F>
void for_every_unit(index_t most_rows, const F& f) {
  for (index_t rows = 1; rows <= most_rows; ++rows)
    for (const index_t kernel : {1, 2, 3, 5})
      for (const index_t stride : {1, 2, 3})
        for (index_t padding = 0; padding <= 2 && padding < kernel; ++padding)
          if (const Windows unit{rows, kernel, stride, padding}; unit.out_rows() > 0) f(unit);
}

/// The rank that each row of an image lies at, and what ranks read of each other's.
struct Owners {
  /// input_rows: of the network; the unit's input has one row for `reduction` of them.
  Owners(const Windows& unit, index_t input_rows, index_t reduction, int ranks) {
    std::vector<int> of_input;
    for (int rank = 0; rank < ranks; ++rank)
      for (index_t i = 0; i < input_rows / ranks + (rank < input_rows % ranks ? 1 : 0); ++i) of_input.push_back(rank);
    const auto owner = [&](index_t row) {
      return row < input_rows ? of_input[static_cast<std::size_t>(row)] : ranks - 1;
    };
    for (index_t r = 0; r < unit.rows; ++r) in.push_back(owner(r * reduction));
    for (index_t o = 0; o < unit.out_rows(); ++o) out.push_back(owner(o * reduction * unit.stride));
  }
  static Rows of(const std::vector<int>& owners, int rank) {
    Rows all;
    for (std::size_t r = 0; r < owners.size(); ++r)
      if (owners[r] == rank) all.insert(static_cast<index_t>(r));
    return all;
  }
  bool refused(const Windows& unit, int ranks) const {
    for (int rank = 0; rank < ranks; ++rank)
      if (of(in, rank).empty() || of(out, rank).empty()) return true;
    for (std::size_t o = 0; o < out.size(); ++o)
      for (const index_t r : unit.read(static_cast<index_t>(o)))
        if (std::abs(in[static_cast<std::size_t>(r)] - out[o]) > 1) return true;  // beyond a neighbour
    return false;
  }

  std::vector<int> in, out;
};

// What `to` needs of the rows of `from`: needed(row) of each row that `to` makes.
template <class Needed>
Rows travelling(const std::vector<int>& have, const std::vector<int>& make, int from, int to, const Needed& needed) {
  Rows all;
  for (const index_t row : Owners::of(make, to))
    for (const index_t r : needed(row))
      if (have[static_cast<std::size_t>(r)] == from) all.insert(r);
  return all;
}

template <class Needed>
void expect_halo(const RowHalo& halo, const std::vector<int>& have, const std::vector<int>& make, int rank, int ranks,
                 const Needed& needed) {
  const Slice own = halo.own;
  const Slice all = whole(own.global);
  EXPECT_EQ(set_of(own), Owners::of(have, rank));
  const auto from = [&](int other, int to) {
    return other < 0 || to < 0 || other >= ranks || to >= ranks ? Rows() : travelling(have, make, other, to, needed);
  };
  const auto run = [&](index_t first, index_t rows) { return set_of({first, rows, all.extent}); };
  EXPECT_EQ(run(own.offset, halo.rows.to_left), from(rank, rank - 1));
  EXPECT_EQ(run(own.end() - halo.rows.to_right, halo.rows.to_right), from(rank, rank + 1));
  EXPECT_EQ(run(own.offset - halo.rows.from_left, halo.rows.from_left), from(rank - 1, rank));
  EXPECT_EQ(run(own.end(), halo.rows.from_right), from(rank + 1, rank));
  EXPECT_EQ(halo.any(), !(from(rank, rank - 1).empty() && from(rank, rank + 1).empty() &&
                          from(rank - 1, rank).empty() && from(rank + 1, rank).empty()));
}

template <class Needed>
void expect_edges(const std::vector<RowBlock>& edges, const std::vector<int>& have, const std::vector<int>& make,
                  int rank, const Needed& needed) {
  Rows expected, found;
  for (const index_t row : Owners::of(make, rank))
    for (const index_t r : needed(row))
      if (have[static_cast<std::size_t>(r)] != rank) expected.insert(row);
  for (const RowBlock& edge : edges) {
    Rows read;
    for (const index_t row : set_of(edge.made)) add(read, needed(row));
    EXPECT_EQ(set_of(edge.read), read);
    EXPECT_TRUE(std::none_of(edge.made.offset == 0 ? found.end() : found.begin(), found.end(), [&](index_t row) {
      return row >= edge.made.offset - 1;
    })) << "edges that touch are one";
    add(found, set_of(edge.made));
  }
  EXPECT_EQ(found, expected);
}

template <class Shape>
void expect_stencil(const Windows& unit, index_t input_rows, index_t reduction, int ranks) {
  const Owners owners(unit, input_rows, reduction, ranks);
  const RowSlices slices(input_rows, ranks);
  const Shape shape = unit.shape<Shape>();
  if (owners.refused(unit, ranks)) {
    for (int rank = 0; rank < ranks; ++rank)
      EXPECT_THROW(row_stencil("unit", shape, slices, reduction, rank), UsageError);
    return;
  }
  std::vector<Rows> reading(static_cast<std::size_t>(unit.rows));
  for (index_t o = 0; o < unit.out_rows(); ++o)
    for (const index_t r : unit.read(o)) reading[static_cast<std::size_t>(r)].insert(o);
  const auto read = [&](index_t o) { return unit.read(o); };
  const auto read_by = [&](index_t r) { return reading[static_cast<std::size_t>(r)]; };
  for (int rank = 0; rank < ranks; ++rank) {
    const RowStencil stencil = row_stencil("unit", shape, slices, reduction, rank);
    EXPECT_EQ(set_of(stencil.in), Owners::of(owners.in, rank));
    EXPECT_EQ(set_of(stencil.out), Owners::of(owners.out, rank));
    expect_halo(stencil.forward, owners.in, owners.out, rank, ranks, read);
    expect_halo(stencil.backward, owners.out, owners.in, rank, ranks, read_by);
    expect_edges(stencil.edges, owners.in, owners.out, rank, read);
    expect_edges(stencil.edges_of_dx, owners.out, owners.in, rank, read_by);
    index_t bytes = 0;
    for (const int to : {rank - 1, rank + 1})
      if (to >= 0 && to < ranks)
        bytes += 3 * 2 *
                 (std::ssize(travelling(owners.in, owners.out, rank, to, read)) * 7 +
                  std::ssize(travelling(owners.out, owners.in, rank, to, read_by)) * 11);
    EXPECT_EQ(halo_bytes(stencil, 3, 7, 11, 2), bytes);
  }
}

TEST(row_slices, cover_the_rows_without_a_gap_and_nest) {
  for (index_t rows = 1; rows <= 40; ++rows)
    for (int ranks = 1; ranks <= 6; ++ranks)
      for (index_t reduction = 1; reduction <= 5; ++reduction) {
        const index_t reduced = (rows - 1) / reduction + 1;
        const RowSlices slices(rows, ranks);
        ASSERT_EQ(slices.ranks(), ranks);
        const std::vector<index_t> bounds = slices.bounds(reduced, reduction);
        ASSERT_EQ(std::ssize(bounds), ranks + 1);
        index_t next = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const Slice here = slices.of(rank, reduced, reduction);
          ASSERT_EQ(here, (Slice{next, here.extent, reduced}));
          ASSERT_EQ(bounds[static_cast<std::size_t>(rank)], next);
          for (const index_t row : set_of(here)) ASSERT_TRUE(slices.of(rank, rows, 1).contains(row * reduction));
          next = here.end();
        }
        ASSERT_EQ(next, reduced);
        ASSERT_EQ(bounds.back(), reduced);
      }
  EXPECT_EQ(caught<ShapeError>([] { RowSlices(28, 0); }), "RowSlices: 0 ranks: expected at least 1");
}

TEST(row_slices, the_drawing_is_right) {
  const RowSlices slices(28, 3);
  EXPECT_EQ(slices.bounds(28, 1), (std::vector<index_t>{0, 10, 19, 28}));
  EXPECT_EQ(slices.bounds(14, 2), (std::vector<index_t>{0, 5, 10, 14}));
  EXPECT_EQ(slices.bounds(7, 4), (std::vector<index_t>{0, 3, 5, 7}));
}

TEST(row_slices, rows_read_and_rows_reading_are_those_of_the_windows) {
  for_every_unit(20, [](const Windows& unit) {
    const auto shape = unit.shape<kernels::Conv2dShape>();
    ASSERT_EQ(shape.out_rows(), unit.out_rows());
    for (index_t first = 0; first < unit.out_rows(); ++first)
      for (index_t rows = 0; rows <= unit.out_rows() - first; ++rows) {
        const Slice out{first, rows, unit.out_rows()};
        Rows read;
        for (const index_t o : set_of(out)) add(read, unit.read(o));
        if (rows > 0 && unit.kernel >= unit.stride) {  // a run without holes
          ASSERT_EQ(set_of(rows_read(shape, out)), read) << unit.text();
        } else if (rows == 0) {
          ASSERT_EQ(rows_read(shape, out).extent, 0);
        }
      }
    for (index_t first = 0; first < unit.rows; ++first)
      for (index_t rows = 0; rows <= unit.rows - first; ++rows) {
        Rows reading;
        for (index_t o = 0; o < unit.out_rows(); ++o)
          for (const index_t r : unit.read(o))
            if (r >= first && r < first + rows) reading.insert(o);
        ASSERT_EQ(set_of(rows_reading(shape, {first, rows, unit.rows})), reading) << unit.text();
      }
  });
}

template <class Shape>
class row_slices_stencils : public ::testing::Test {};
using Shapes = ::testing::Types<kernels::Conv2dShape, kernels::Pool2dShape>;
TYPED_TEST_SUITE(row_slices_stencils, Shapes);

TYPED_TEST(row_slices_stencils, are_those_of_brute_force_or_refused) {
  for (const index_t reduction : {1, 2})
    for_every_unit(40 / reduction, [&](const Windows& unit) {
      for (int ranks = 1; ranks <= 6; ++ranks)
        for (index_t less = 0; less < reduction; ++less) {  // the last row may stand for fewer
          expect_stencil<TypeParam>(unit, unit.rows * reduction - less, reduction, ranks);
          ASSERT_FALSE(this->HasFailure()) << unit.text() << ", " << ranks << " ranks, reduction " << reduction;
        }
    });
}

TEST(row_slices, say_which_rows_are_too_few) {
  const auto message = [](const Windows& unit, int ranks) {
    return caught<UsageError>(
        [&] { row_stencil("stem.conv", unit.shape<kernels::Conv2dShape>(), RowSlices(unit.rows, ranks), 1, 0); });
  };
  const std::string remedy = ": expected fewer ranks, or images of more rows";
  EXPECT_EQ(message({2, 3, 1, 1}, 3),
            "parallel.spatial: 3 ranks share 2 input rows of stem.conv, and rank 2 would have 0" + remedy);
  EXPECT_EQ(message({4, 3, 2, 1}, 3),
            "parallel.spatial: 3 ranks share 2 output rows of stem.conv, and rank 2 would have 0" + remedy);
  EXPECT_EQ(
      message({3, 5, 1, 2}, 3),
      "parallel.spatial: 3 ranks share 3 input rows of stem.conv, and rank 1 would have 1, of which a neighbour reads "
      "2" +
          remedy);
}

}  // namespace
}  // namespace partita::parallel::row_slices_tests
