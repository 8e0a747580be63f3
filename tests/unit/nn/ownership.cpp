// SPDX-License-Identifier: BSD-3-Clause
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/norm_cells.hpp>
#include <partita/nn/ownership.hpp>

#include <support/caught.hpp>

// Where shares of a model's weights may begin, and which cells of the norm a share holds.

namespace partita::nn::ownership_tests {
namespace {

using ::partita::testing::caught;

struct Case {
  const char* name;
  ParameterTable (*table)();
};

ParameterTable gpt(index_t chunks) {
  return make_gpt<float>({.V = 50, .T = 7, .C = 96, .H = 2, .blocks = 2, .tied = true}, {.chunks = chunks}).table();
}

class ownership : public ::testing::TestWithParam<Case> {};

// times(p): cells that begin before p and end behind it, element by element.
std::vector<int> cells_across(const ParameterTable& table) {
  std::vector<int> across(static_cast<std::size_t>(table.size()) + 1);
  for (const kernels::NormCell& cell : norm_cells(table)) {
    const index_t last = cell.offset + (cell.rows - 1) * cell.stride + cell.columns - 1;
    for (index_t p = cell.offset + 1; p <= last; ++p) ++across[static_cast<std::size_t>(p)];
  }
  return across;
}

std::vector<Range> withins(const ParameterTable& table) {
  std::vector<Range> all = {{0, table.size()}};
  for (const Parameter& parameter : table.parameters()) all.push_back(parameter.range);
  return all;
}

TEST_P(ownership, cuts_are_the_nearest_to_even_at_which_no_cell_is_cut) {
  const ParameterTable table = GetParam().table();
  const std::vector<int> across = cells_across(table);
  for (const Range& within : withins(table)) {
    std::vector<index_t> allowed;
    for (index_t p = within.offset; p <= within.end(); ++p)
      if (across[static_cast<std::size_t>(p)] == 0) allowed.push_back(p);
    index_t indivisible = 0;
    for (std::size_t k = 1; k < allowed.size(); ++k) indivisible = std::max(indivisible, allowed[k] - allowed[k - 1]);
    for (index_t parts = 1; parts <= 9; ++parts) {
      const std::vector<index_t> cuts = cell_cuts(table, within, parts);
      ASSERT_EQ(std::ssize(cuts), parts + 1);
      EXPECT_EQ(cuts.front(), within.offset);
      EXPECT_EQ(cuts.back(), within.end());
      EXPECT_TRUE(std::is_sorted(cuts.begin(), cuts.end()));
      for (index_t k = 0; k < parts; ++k) {
        const index_t cut = cuts[static_cast<std::size_t>(k)], next = cuts[static_cast<std::size_t>(k) + 1];
        EXPECT_EQ(across[static_cast<std::size_t>(cut)], 0);
        const Slice even = partition(within.extent, parts, k);
        index_t nearest = within.extent;
        for (const index_t p : allowed) nearest = std::min(nearest, std::abs(p - within.offset - even.offset));
        EXPECT_EQ(std::abs(cut - within.offset - even.offset), nearest) << parts << " " << k;
        EXPECT_LE(std::abs(next - cut - even.extent), indivisible) << parts << " " << k;
      }
    }
  }
}

// Shares of the whole, and of every tensor apart, hold every cell once, and what they hold lies inside.
TEST_P(ownership, shares_hold_every_cell_once) {
  const ParameterTable table = GetParam().table();
  const std::vector<kernels::NormCell> cells = norm_cells(table);
  std::vector<Range> tensors = withins(table);
  tensors.erase(tensors.begin());
  for (const std::vector<Range>& whole : {std::vector<Range>{{0, table.size()}}, tensors})
    for (index_t parts = 1; parts <= 9; ++parts) {
      std::vector<int> times(cells.size());
      for (index_t k = 0; k < parts; ++k) {
        std::vector<Range> mine;
        for (const Range& within : whole) {
          const std::vector<index_t> cuts = cell_cuts(table, within, parts);
          const index_t from = cuts[static_cast<std::size_t>(k)];
          mine.push_back({from, cuts[static_cast<std::size_t>(k) + 1] - from});
        }
        index_t last = -1;
        for (const Range& held : cells_of(mine, cells)) {
          EXPECT_GT(held.offset, last) << "neighbours are not joined";
          last = held.end();
          for (index_t c = held.offset; c < held.end(); ++c) {
            ++times[static_cast<std::size_t>(c)];
            const kernels::NormCell& cell = cells[static_cast<std::size_t>(c)];
            EXPECT_TRUE(std::any_of(mine.begin(), mine.end(), [&](const Range& range) {
              return range.offset <= cell.offset &&
                     cell.offset + (cell.rows - 1) * cell.stride + cell.columns <= range.end();
            }));
          }
        }
      }
      EXPECT_EQ(times, std::vector<int>(times.size(), 1)) << parts;
    }
}

INSTANTIATE_TEST_SUITE_P(
    models, ownership,
    ::testing::Values(Case{"mlp",
                           [] {
                             return make_mlp<float>({90, {70, 3}, 7, kernels::Activation::gelu}).table();
                           }},
                      Case{"gpt", [] { return gpt(1); }}, Case{"gpt_in_24", [] { return gpt(24); }},
                      Case{"gpt_in_4", [] { return gpt(4); }},
                      Case{"cnn",
                           [] {
                             return make_cnn<float>({.rows = 8, .columns = 8, .width = {4, 24}, .depth = 1}).table();
                           }}),
    [](const auto& at) { return at.param.name; });

// Where nothing interleaves, shares are even to within a cell.
TEST(ownership, blocks_of_an_uncut_model_are_single_cells) {
  const ParameterTable table = gpt(1);
  index_t next = 0;
  for (const kernels::NormCell& cell : norm_cells(table)) {
    EXPECT_EQ(cell.offset, next);
    next += cell.rows * cell.columns;
  }
}

// Two blocks of columns of one matrix: a share of its upper rows holds the first cells of both.
TEST(ownership, of_interleaved_cells_are_several_ranges) {
  ParameterTable table;
  table.add("W", {100, Dimension(128, 2)}, Initial::constant(0));  // cells of 64 rows of 64 columns
  const std::vector<index_t> cuts = cell_cuts(table, {0, table.size()}, 2);
  EXPECT_EQ(cuts, (std::vector<index_t>{0, 64 * 128, 100 * 128}));
  const std::vector<kernels::NormCell> cells = norm_cells(table);
  ASSERT_EQ(cells.size(), 4u);
  const Range upper[] = {{0, 64 * 128}};
  EXPECT_EQ(cells_of(upper, cells), (std::vector<Range>{{0, 1}, {2, 1}}));
}

TEST(ownership, what_cuts_a_cell_or_does_not_ascend_is_refused) {
  ParameterTable table;
  table.add("W", {9000}, Initial::constant(0));
  const std::vector<kernels::NormCell> cells = norm_cells(table);
  for (const Range& range : {Range{0, 5000}, Range{1, 8999}, Range{4000, 200}}) {
    EXPECT_NE(caught<UsageError>([&] { cells_of(std::vector{range}, cells); }).find("is cut at"), std::string::npos);
    EXPECT_NE(caught<UsageError>([&] { cell_cuts(table, range, 2); }).find("is cut at"), std::string::npos);
  }
  EXPECT_NE(caught<UsageError>([&] {
              cells_of(std::vector<Range>{{4096, 4096}, {0, 4096}}, cells);
            }).find("ascending"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([&] { cell_cuts(table, {0, 9000}, 0); }).find("0 parts"), std::string::npos);
}

}  // namespace
}  // namespace partita::nn::ownership_tests
