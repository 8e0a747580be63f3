// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::dropout_tests {
namespace {

template <class Scalar>
class dropout_types : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(dropout_types, Scalars);

/// Dropout of an operand whose x and y lie as given, and in place, against the reference.
template <class Scalar>
void expect_the_references_choice(const Exec& exec, const DropoutOptions& options, Placement from, Placement to) {
  const index_t rows = options.rows.extent, columns = options.columns.extent;
  const auto factor = accumulate_t<Scalar>(1 / (1 - options.rate));
  const auto values = random_values<Scalar>(1, rows * columns);
  std::vector<Scalar> expected;
  for (index_t r = 0; r < rows; ++r)
    for (index_t c = 0; c < columns; ++c) {
      const index_t i = (options.rows.offset + r) * options.columns.global + options.columns.offset + c;
      const auto x = accumulate_t<Scalar>(values[r * columns + c]);
      expected.push_back(Scalar(x * (reference::dropout_keeps(options, i) ? factor : 0)));
    }
  const Placed<Scalar> x(values, rows, columns, from), y(rows, columns, to), in_place(values, rows, columns, to);
  dropout<Scalar>(exec, options, x.matrix(), y.matrix());
  dropout<Scalar>(exec, options, in_place.matrix(), in_place.matrix());
  exec.fence();
  EXPECT_TRUE(same_bits(y.values(), expected));
  EXPECT_TRUE(same_bits(in_place.values(), expected));
  EXPECT_TRUE(same_bits(x.values(), values));
  EXPECT_TRUE(y.surroundings_untouched() && in_place.surroundings_untouched());
}

/// All columns, the first, some from the middle, the last.
std::vector<Slice> slices_of(index_t n) {
  std::vector<Slice> slices = {whole(n)};
  for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 2), std::pair(2, 3)})
    slices.push_back({n * from / 3, n * to / 3 - n * from / 3, n});
  return slices;
}

TYPED_TEST(dropout_types, keeps_what_the_reference_keeps_in_whole_rows_and_slices_wherever_they_lie) {
  const auto execs = instances();
  std::size_t turn = 0;
  for (index_t rows : {0, 1, 3, 17, 33})
    for (index_t columns : {0, 1, 3, 17, 33, 300})
      for (index_t first_row : {index_t(5), index_t(1) << 32})
        for (const Slice& slice : slices_of(columns)) {
          SCOPED_TRACE(::testing::Message() << rows << " rows from " << first_row << ", columns from " << slice.offset
                                            << ", " << slice.extent << " of " << slice.global);
          const DropoutOptions options{.rate = 0.3,
                                       .seed = 7,
                                       .layer = name_key("block0.dropout1"),
                                       .step = 5,
                                       .rows = {first_row, rows, first_row + rows + 3},
                                       .columns = slice};
          const Placement from = placements[turn % 3], to = placements[turn / 3 % 3];
          expect_the_references_choice<TypeParam>(execs[turn++ % execs.size()], options, from, to);
        }
}

/// Rows of less than a task, of a task and of more.
TYPED_TEST(dropout_types, keeps_what_the_reference_keeps_in_long_rows_at_any_threads) {
  for (const Exec& exec : instances())
    for (index_t columns : {4095, 4096, 4097})
      for (const Slice& slice : {whole(columns), Slice{255, columns, 9000}, Slice{256, columns, 9000}}) {
        SCOPED_TRACE(::testing::Message() << columns << " from " << slice.offset);
        const DropoutOptions options{.rate = 0.5, .rows = {2, 3, 5}, .columns = slice};
        expect_the_references_choice<TypeParam>(exec, options, {0, 0}, {0, 0});
        expect_the_references_choice<TypeParam>(exec, options, {0, 0}, {3, 5});
      }
}

/// Of n columns from `first` on.
std::vector<float> mask(DropoutOptions options, index_t n, index_t first = 0) {
  const Matrix<float> x("x", 1, n);
  Kokkos::deep_copy(x, 1.0f);
  options.rows = whole(1);
  options.columns = {first, n, first + n};
  dropout<float>(Exec(), options, x, x);
  Kokkos::fence();
  return to_host(x);
}

TEST(dropout, share_of_zeros_is_the_rate_and_the_mean_stays) {
  constexpr index_t n = 1 << 18;
  for (double rate : {0.0, 0.1, 0.5, 0.9}) {
    const auto y = mask({.rate = rate, .seed = 3}, n);
    const double sigma = std::sqrt(rate * (1 - rate) / double(n));  // of the share of zeros
    const auto zeros = double(std::count(y.begin(), y.end(), 0.0f));
    EXPECT_NEAR(zeros / double(n), rate, 5 * sigma);
    for (float value : y) EXPECT_TRUE(value == 0.0f || value == float(1 / (1 - rate)));
  }
}

void expect_independent(const std::vector<float>& one, const std::vector<float>& two) {
  const auto n = double(one.size());
  double equal = 0;
  for (std::size_t i = 0; i < one.size(); ++i) equal += one[i] == two[i];
  EXPECT_NEAR(equal / n, 0.5, 5 * 0.5 / std::sqrt(n));
}

/// Masks of other seeds, layers, steps and places agree as often as independent ones do.
TEST(dropout, each_of_seed_layer_step_and_place_draws_anew) {
  constexpr index_t n = 1 << 16;
  const DropoutOptions base{.rate = 0.5, .seed = 1, .layer = 1, .step = 1};
  const auto one = mask(base, n);
  for (int which = 0; which < 3; ++which) {
    SCOPED_TRACE(which);
    DropoutOptions other = base;
    ++(which == 0 ? other.seed : which == 1 ? other.layer : other.step);
    expect_independent(one, mask(other, n));
  }
  expect_independent(one, mask(base, n, n));
}

/// A step is never taken for a layer, nor a layer for a step, wherever the bits of a name's key lie.
TEST(dropout, layers_and_steps_are_told_apart) {
  constexpr index_t n = 1 << 12;
  const std::uint64_t large = name_key("block11.dropout2"), both[] = {0, 1, 256, std::uint64_t(1) << 32, large};
  for (const std::uint64_t a : both)
    for (const std::uint64_t b : both) {
      if (a >= b) continue;
      SCOPED_TRACE(::testing::Message() << a << " and " << b);
      const auto drawn = [&](std::uint64_t layer, std::uint64_t step) {
        return mask({.rate = 0.5, .seed = 3, .layer = layer, .step = step}, n);
      };
      expect_independent(drawn(a, b), drawn(b, a));
      expect_independent(drawn(a, a), drawn(b, a));
      expect_independent(drawn(a, a), drawn(a, b));
    }
}

TEST(dropout, no_rate_is_the_identity_and_nan_stays) {
  const Matrix<float> x("x", 2, 300);
  Kokkos::deep_copy(x, std::nanf(""));
  dropout<float>(Exec(), {.rate = 0.5, .rows = whole(2), .columns = whole(300)}, x, x);
  Kokkos::fence();
  for (float value : to_host(x)) EXPECT_TRUE(std::isnan(value));
  EXPECT_EQ(mask({.rate = 0}, 5), std::vector<float>(5, 1.0f));
}

TEST(dropout, bad_arguments_are_errors) {
  const Matrix<float> x("x", 2, 3), wide("y", 2, 4), high("y", 3, 3);
  const auto run = [&](DropoutOptions options, const Matrix<float>& y) { dropout<float>(Exec(), options, x, y); };
  const DropoutOptions good{.rows = whole(2), .columns = whole(3)};
  EXPECT_NO_THROW(run(good, x));
  EXPECT_THROW(run(good, wide), ShapeError);
  EXPECT_THROW(run(good, high), ShapeError);
  EXPECT_THROW(run({}, x), ShapeError);
  for (const Slice& bad : {Slice{-1, 2, 4}, Slice{3, 2, 4}, Slice{0, 4, 4}}) {
    EXPECT_THROW(run({.rows = bad, .columns = whole(3)}, x), ShapeError);
    EXPECT_THROW(run({.rows = whole(2), .columns = bad}, x), ShapeError);
  }
  for (const double rate : {1.0, -0.1, std::nan("")})
    EXPECT_THROW(run({.rate = rate, .rows = whole(2), .columns = whole(3)}, x), UsageError);
  EXPECT_THROW(run({.layer = ~std::uint64_t(0) >> 8, .rows = whole(2), .columns = whole(3)}, x), UsageError);
  EXPECT_NO_THROW(run({.layer = (~std::uint64_t(0) >> 8) - 1, .rows = whole(2), .columns = whole(3)}, x));
  EXPECT_EQ(caught<ShapeError>([&] { run(good, wide); }),
            "dropout: columns are [0, 3) of 3, x has 3, y has 4: expected x and y (rows.extent, columns.extent)");
  EXPECT_EQ(caught<UsageError>([&] { run({.rate = 2, .rows = whole(2), .columns = whole(3)}, x); }),
            "dropout: a rate of 2.000000: expected 0 <= rate < 1");
}

}  // namespace
}  // namespace partita::kernels::test::dropout_tests
