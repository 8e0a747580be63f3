// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/init.hpp>

namespace partita::nn::init_tests {
namespace {

std::vector<double> values(const ParameterTable& table, std::uint64_t seed) {
  const Vector<double> parameters("parameters", table.size());
  initialise(table, seed, parameters);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), parameters);
  return {host.data(), host.data() + host.extent(0)};
}

TEST(init, table_is_flat_and_without_gaps) {
  ParameterTable table;
  const Range W = table.add("W", {3, 5}, Initial::uniform(1));
  const Range b = table.add("b", {7}, Initial::uniform(1));
  EXPECT_EQ(W.offset, 0);
  EXPECT_EQ(W.extent, 15);
  EXPECT_EQ(b.offset, 15);
  EXPECT_EQ(table.size(), 22);
}

TEST(init, a_slice_holds_the_values_of_the_whole) {
  ParameterTable whole;
  whole.add("first", {4}, Initial::uniform(1));
  const Range all = whole.add("W", {6, 5}, Initial::uniform(0.25));
  const std::vector<double> expected = values(whole, 3);

  // Its neighbours are others: values are keyed by name, not by the place in the table.
  ParameterTable part;
  part.add("another", {9}, Initial::uniform(1));
  const Range mine = part.add("W", {Slice{2, 3, 6}, Slice{1, 2, 5}}, Initial::uniform(0.25));
  const std::vector<double> got = values(part, 3);
  for (index_t row = 0; row < 3; ++row)
    for (index_t column = 0; column < 2; ++column)
      EXPECT_EQ(got[static_cast<std::size_t>(mine.offset + row * 2 + column)],
                expected[static_cast<std::size_t>(all.offset + (row + 2) * 5 + column + 1)]);
}

TEST(init, values_fill_their_interval_and_depend_on_the_seed) {
  constexpr index_t n = 20000;
  ParameterTable table;
  table.add("W", {n}, Initial::uniform(0.5));
  const std::vector<double> w = values(table, 1);
  double sum = 0;
  double squares = 0;
  for (const double value : w) {
    ASSERT_GE(value, -0.5);
    ASSERT_LT(value, 0.5);
    sum += value;
    squares += value * value;
  }
  // Mean 0 and variance 1/12, within five standard errors of n uniform numbers.
  EXPECT_NEAR(sum / n, 0, 5 * std::sqrt(1 / 12.0 / n));
  EXPECT_NEAR(squares / n, 1 / 12.0, 5 * std::sqrt(1 / 180.0 / n));
  EXPECT_NE(values(table, 2), w);
}

TEST(init, tensors_of_one_table_differ) {
  ParameterTable table;
  table.add("a", {8}, Initial::uniform(1));
  table.add("b", {8}, Initial::uniform(1));
  const std::vector<double> w = values(table, 1);
  EXPECT_FALSE(std::equal(w.begin(), w.begin() + 8, w.begin() + 8));
}

// A share of the weights begins as the whole does, wherever it is cut: inside a tensor, over several, empty.
TEST(init, a_range_holds_the_values_of_the_whole) {
  ParameterTable table;
  table.add("uniform", {5, 3}, Initial::uniform(0.5));
  table.add("normal", {Slice{2, 3, 9}, Slice{1, 4, 6}}, Initial::normal(0.02));
  table.add("constant", {7}, Initial::constant(1.5));
  table.add("last", {2}, Initial::normal(1));
  const std::vector<double> expected = values(table, 3);
  for (index_t from = 0; from <= table.size(); ++from)
    for (index_t to = from; to <= table.size(); ++to) {
      const Vector<double> part("part", to - from);
      initialise(table, 3, {from, to - from}, part);
      const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), part);
      ASSERT_TRUE(std::equal(host.data(), host.data() + host.extent(0), expected.begin() + from)) << from << " " << to;
    }
  EXPECT_THROW(initialise(table, 3, {0, 5}, Vector<double>("part", 4)), ShapeError);
  EXPECT_THROW(initialise(table, 3, {table.size() - 1, 2}, Vector<double>("part", 2)), ShapeError);
}

TEST(init, refuses_two_tensors_of_one_name_and_parts_outside_the_whole) {
  ParameterTable table;
  table.add("a", {8}, Initial::uniform(1));
  EXPECT_THROW(table.add("a", {3}, Initial::uniform(1)), UsageError);
  EXPECT_THROW(table.add("b", {Slice{6, 3, 8}}, Initial::uniform(1)), UsageError);
  EXPECT_THROW(table.at("c"), UsageError);
}

}  // namespace
}  // namespace partita::nn::init_tests
