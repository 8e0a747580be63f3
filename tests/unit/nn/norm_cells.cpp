// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::nn::norm_cells_tests {
namespace {

// Elements of a cell, in order, as indices of the flat buffer.
std::vector<index_t> elements(const kernels::NormCell& cell) {
  std::vector<index_t> all;
  for (index_t r = 0; r < cell.rows; ++r)
    for (index_t c = 0; c < cell.columns; ++c) all.push_back(cell.offset + r * cell.stride + c);
  return all;
}

TEST(norm_cells, cover_every_element_once_and_are_small) {
  ParameterTable table;
  table.add("long", {9000}, Initial::constant(0));
  table.add("matrix", {Dimension(33, 4), Dimension(70, 3)}, Initial::constant(0));
  table.add("qkv", {3, Dimension(4, 4), 5, 7}, Initial::constant(0));
  table.add("down", {300, Dimension(200, 7)}, Initial::constant(0));
  table.add("nothing", {0}, Initial::constant(0));
  std::vector<int> times(static_cast<std::size_t>(table.size()));
  for (const kernels::NormCell& cell : norm_cells(table)) {
    EXPECT_LE(cell.rows * cell.columns, 4096);
    for (const index_t i : elements(cell)) ++times.at(static_cast<std::size_t>(i));
  }
  EXPECT_EQ(times, std::vector<int>(times.size(), 1));
}

// What makes norms of any split along blocks the same bits: the cells of the parts are those of the whole, element by
// element.
TEST(norm_cells, of_parts_are_those_of_the_whole) {
  constexpr index_t N = 24, K = 50, blocks = 6;
  const auto global = [&](const Slice& rows, const Slice& columns) {
    ParameterTable table;
    table.add("W", {Dimension(rows, blocks), Dimension(columns, 5)}, Initial::constant(0));
    std::set<std::vector<index_t>> cells;
    for (const kernels::NormCell& cell : norm_cells(table)) {
      std::vector<index_t> all = elements(cell);
      for (index_t& i : all) i = (rows.offset + i / columns.extent) * K + columns.offset + i % columns.extent;
      cells.insert(all);
    }
    return cells;
  };
  const auto all = global(whole(N), whole(K));
  for (const index_t ranks : {2, 3}) {
    std::set<std::vector<index_t>> by_rows, by_columns;
    for (index_t rank = 0; rank < ranks; ++rank) {
      const Slice own = partition(blocks, ranks, rank), five = partition(5, ranks, rank);
      by_rows.merge(global({own.offset * 4, own.extent * 4, N}, whole(K)));
      by_columns.merge(global(whole(N), {five.offset * 10, five.extent * 10, K}));
    }
    EXPECT_EQ(by_rows, all);
    EXPECT_EQ(by_columns, all);
  }
}

// A part that is one block of columns has them side by side, and more than a cell has: its cells are whole rows, as in
// the whole, where they are apart.
TEST(norm_cells, places_of_parts_are_those_of_the_same_elements) {
  constexpr index_t rows = 300, K = 120, blocks = 2;
  const auto table = [&](const Slice& columns) {
    ParameterTable made;
    made.add("norm", {40}, Initial::constant(0));
    made.add("down", {rows, Dimension(columns, blocks)}, Initial::constant(0));
    made.add("qkv", {3, Dimension(Slice{columns.offset / 60, columns.extent / 60, blocks}, blocks), 5},
             Initial::constant(0));
    return made;
  };
  const ParameterTable all = table(whole(K));
  const std::vector<kernels::NormCell> cells = norm_cells(all);
  std::vector<int> times(cells.size());
  for (index_t block = 0; block < blocks; ++block) {
    const ParameterTable part = table(partition(K, blocks, block));
    const std::vector<kernels::NormCell> mine = norm_cells(part);
    const std::vector<index_t> places = cell_places(part, all);
    ASSERT_EQ(places.size(), mine.size());
    for (std::size_t k = 0; k < mine.size(); ++k) {
      ++times.at(static_cast<std::size_t>(places[k]));
      const kernels::NormCell& same = cells.at(static_cast<std::size_t>(places[k]));
      EXPECT_EQ(mine[k].rows * mine[k].columns, same.rows * same.columns);
      if (mine[k].offset < 40 || mine[k].offset >= 40 + rows * 60) continue;
      // Of "down" element by element.
      std::vector<index_t> here = elements(mine[k]);
      for (index_t& i : here) i = 40 + (i - 40) / 60 * K + block * 60 + (i - 40) % 60;
      EXPECT_EQ(here, elements(same));
    }
  }
  for (std::size_t k = 0; k < cells.size(); ++k) EXPECT_EQ(times[k], cells[k].offset < 40 ? 2 : 1);  // both have "norm"
}

TEST(norm_cells, places_need_a_split_along_blocks) {
  ParameterTable all, part;
  all.add("W", {Dimension(10, 2)}, Initial::constant(0));
  part.add("other", {10}, Initial::constant(0));
  EXPECT_THROW(cell_places(part, all), UsageError);
}

}  // namespace
}  // namespace partita::nn::norm_cells_tests
