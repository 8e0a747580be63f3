// SPDX-License-Identifier: BSD-3-Clause
// Rows of a table that travel between servers and a worker's window, against plain loops.
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/server/sparse_table.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::sparse_table_tests {
namespace {

constexpr SparseTable table{.rows = 7, .width = 3, .most = 4};
constexpr index_t keys = 7 * 3 + 5;  // five weights behind the table
const TouchedRows rows = {1, 4, 6};

std::vector<double> numbers(index_t n, double first) {
  std::vector<double> values;
  for (index_t i = 0; i < n; ++i) values.push_back(first + static_cast<double>(i));
  return values;
}

Vector<double> upload(const std::vector<double>& values) {
  Vector<double> there("partita::test::values", values.size());
  Kokkos::deep_copy(there, Kokkos::View<const double*, Kokkos::HostSpace>(values.data(), values.size()));
  return there;
}

std::vector<double> download(const Vector<double>& values) {
  std::vector<double> here(values.extent(0));
  Kokkos::deep_copy(Kokkos::View<double*, Kokkos::HostSpace>(here.data(), here.size()), values);
  return here;
}

// Servers that end within the table, at its end, and behind it.
const std::vector<Range> servers = {{0, 6}, {6, 9}, {15, 8}, {23, 3}};

TEST(sparse_table, a_window_has_touched_rows_and_what_is_behind_the_table) {
  const std::vector<double> weights = numbers(keys, 100);
  const Exec exec;
  const Vector<double> window = upload(std::vector<double>(static_cast<std::size_t>(table.window(keys)), -1));
  for (const Range& mine : servers) {
    const auto first = weights.begin() + mine.offset;
    gather_touched<double>(exec, table, mine, rows, upload({first, first + mine.extent}),
                           part(window, touched_part(table, mine, rows).window));
  }
  exec.fence("partita::test");
  std::vector<double> expected(static_cast<std::size_t>(table.window(keys)), -1);  // there is no fourth row
  for (std::size_t k = 0; k < rows.size(); ++k)
    for (std::size_t c = 0; c < 3; ++c) expected[3 * (k + 1) + c] = weights[3 * static_cast<std::size_t>(rows[k]) + c];
  for (std::size_t i = 0; i < 5; ++i) expected[12 + i] = weights[21 + i];
  EXPECT_EQ(download(window), expected);
}

TEST(sparse_table, a_gradient_is_zero_where_no_row_is_touched) {
  const std::vector<double> window = numbers(table.window(keys), 1);
  kernels::Context context;
  std::vector<double> whole;
  for (const Range& mine : servers) {
    const Vector<double> gradient = upload(std::vector<double>(static_cast<std::size_t>(mine.extent), 99));
    const Range there = touched_part(table, mine, rows).window;
    const auto first = window.begin() + there.offset;
    spread_touched<double>(context, table, mine, rows, upload({first, first + there.extent}), gradient);
    context.exec().fence("partita::test");
    const std::vector<double> part = download(gradient);
    whole.insert(whole.end(), part.begin(), part.end());
  }
  std::vector<double> expected(static_cast<std::size_t>(keys), 0);
  for (std::size_t k = 0; k < rows.size(); ++k)
    for (std::size_t c = 0; c < 3; ++c) expected[3 * static_cast<std::size_t>(rows[k]) + c] = window[3 * (k + 1) + c];
  for (std::size_t i = 0; i < 5; ++i) expected[21 + i] = window[12 + i];
  EXPECT_EQ(whole, expected);
}

TEST(sparse_table, weights_that_travel_are_counted_and_no_row_is_cut) {
  index_t all = 0;
  for (const Range& mine : servers) {
    const TouchedPart whole = touched_part(table, mine, rows);
    EXPECT_EQ(whole.window.offset, 3 + all);  // one after the other
    EXPECT_LE(whole.window.extent, longest_part(table, mine));
    all += whole.window.extent;
    const auto own = std::span<const std::int32_t>(rows).subspan(static_cast<std::size_t>(whole.list.offset),
                                                                 static_cast<std::size_t>(whole.list.extent));
    EXPECT_EQ(touched_part(table, mine, own).window.extent, whole.window.extent);
    EXPECT_EQ(touched_part({}, mine, {}).window.offset, mine.offset);
  }
  EXPECT_EQ(all, 3 * 3 + 5);
  EXPECT_EQ(longest_part(table, {0, 6}), 6);
  EXPECT_EQ(longest_part(table, {0, 23}), 4 * 3 + 2);
  EXPECT_EQ(longest_part({}, {3, 20}), 20);
  EXPECT_EQ(testing::caught<UsageError>([] {
              touched_part(table, {1, 6}, rows);
            }),
            "touched_part: keys 1 to 7 of rows of 3: expected whole rows");
}

}  // namespace
}  // namespace partita::parallel::server::sparse_table_tests
