// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace partita::nn::norm_cells_tests
