// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/reference.hpp>

#include "squared_norm.hpp"

namespace partita::kernels::test::norm_tests {
namespace {

template <class Real>
class norm : public ::testing::Test {};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(norm, Reals);

/// Cells of many shapes, one after the other, with 7 elements between them that are NaN, as are those between rows.
template <class Real>
struct Cells {
  std::vector<NormCell> cells;
  std::vector<Real> g;

  explicit Cells(index_t front) : g(front, Real(std::nanf(""))) {
    for (index_t n : {0, 1, 3, 17, 33, 4095, 4096, 4097}) add(1, n, n);
    for (index_t n : {0, 1, 3, 17, 33}) {
      add(3, n, n);      // side by side
      add(3, n, n + 5);  // apart
      add(n, 17, 20);
      add(n, 124, 125);  // up to 4092 elements
      add(n, 1, 3);
    }
    add(4096, 1, 2);
    add(2, 2048, 5000);
    add(13, 32, 33);  // rows that begin at lane 0
    add(5, 96, 96 + 32);
    add(3, 1500, 1501);  // larger than what is brought together at once, and than a cell should be
  }
  void add(index_t rows, index_t columns, index_t stride) {
    const NormCell cell{index_t(g.size()), rows, columns, stride};
    const auto values = random_values<Real>(cells.size(), rows * columns);
    cells.push_back(cell);
    g.resize(g.size() + rows * stride + 7, Real(std::nanf("")));
    for (index_t r = 0; r < rows; ++r)
      for (index_t c = 0; c < columns; ++c) g[cell.offset + r * stride + c] = values[r * columns + c];
  }
};

TYPED_TEST(norm, of_a_cell_is_bit_by_bit_the_reference_whatever_the_threads_the_place_and_the_stride) {
  using Real = TypeParam;
  for (index_t front : {0, 1, 3}) {
    const Cells<Real> all(front);
    std::vector<double> expected;
    for (const NormCell& cell : all.cells) expected.push_back(reference::norm_squared(cell, all.g));
    for (const Exec& exec : instances()) {
      Context context(exec);
      const Vector<double> sums("sums", all.cells.size());
      Kokkos::deep_copy(sums, -1.0);
      norm_squared<Real>(context, to_device(all.cells), to_device(all.g), sums);
      exec.fence();
      EXPECT_TRUE(same_bits(to_host(sums), expected)) << front;
    }
  }
}

TYPED_TEST(norm, of_a_range_is_the_sum_of_squares) {
  using Real = TypeParam;
  for (index_t n : {0, 1, 3, 17, 33, 4095, 4096, 4097, 70001}) {
    const auto g = random_values<Real>(1, n);
    const double expected = reference::norm_squared(g);
    // A term goes through 128 additions in its lane and 5 of the tree, then one and 9 of the total's.
    const double roundings = 143 + double(n) / 4096 / 512;
    EXPECT_NEAR(to_host(squared_norm(to_device(g)))[0], expected, roundings * unit_roundoff<double> * expected) << n;
  }
}

TYPED_TEST(norm, clipping_scales_to_the_largest_norm_and_leaves_less_alone) {
  using Real = TypeParam;
  for (index_t n : {1, 3, 17, 33, 4095, 4096, 4097}) {
    const auto start = random_values<Real>(1, n);
    const double length = std::sqrt(reference::norm_squared(start));
    for (double most : {length * 2, length / 2, length / 10})
      for (const Exec& exec : instances()) {
        const auto g = to_device(start, 1);
        const auto sum = squared_norm(g);
        clip_by_norm<Real>(exec, most, sum, g);
        exec.fence();
        std::vector<Real> expected = start;
        const auto factor = Real(std::min(1.0, most / (std::sqrt(to_host(sum)[0]) + 1e-6)));
        for (Real& value : expected) value *= factor;
        EXPECT_TRUE(same_bits(to_host(g), expected));
        const double clipped = std::sqrt(reference::norm_squared(to_host(g)));
        EXPECT_NEAR(clipped, std::min(length, most), 1e-6 + 2 * unit_roundoff<Real> * length);
      }
  }
}

TEST(norm_of_cells, is_added_bit_by_bit_as_the_reference_says_whatever_the_threads) {
  for (index_t n : {0, 1, 3, 17, 33, 511, 512, 513, 4095, 4096, 4097}) {
    std::vector<double> sums = random_values<double>(1, n);
    for (double& value : sums) value *= value;
    const double expected = reference::norm_total(sums);
    for (const Exec& exec : instances()) {
      const Kokkos::View<double, Memory> sum("sum");
      Kokkos::deep_copy(sum, -1.0);
      norm_total(exec, to_device(sums, 1), sum);
      exec.fence();
      EXPECT_TRUE(same_bits(to_host(sum), {expected})) << n;
    }
  }
}

TEST(norm_of_cells, cut_a_range_without_gaps) {
  EXPECT_TRUE(norm_cells({5, 0}).empty());
  for (index_t n : {1, 4095, 4096, 4097, 12288}) {
    index_t at = 7;
    for (const NormCell& cell : norm_cells({7, n})) {
      EXPECT_EQ(cell, (NormCell{at, 1, std::min<index_t>(4096, 7 + n - at), cell.columns}));
      at += cell.columns;
    }
    EXPECT_EQ(at, 7 + n);
  }
}

TEST(norm_of_cells, needs_a_sum_for_each) {
  Context context;
  EXPECT_EQ(caught<ShapeError>([&] {
              norm_squared<float>(context, Vector<NormCell>("cells", 2), Vector<float>("g", 9),
                                  Vector<double>("sums", 3));
            }),
            "norm_squared: sums has 3 elements, cells has 2 elements: expected sums (n) and cells (n) with the same n");
}

TEST(norm_values, huge_floats_have_a_finite_norm_and_what_is_not_finite_shows) {
  const float huge = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(to_host(squared_norm(to_device(std::vector<float>(5000, huge))))[0]));
  for (float bad : {HUGE_VALF, std::nanf("")}) {
    std::vector<float> g(5000, 1.0f);
    g[4500] = bad;
    EXPECT_FALSE(std::isfinite(to_host(squared_norm(to_device(g)))[0]));
  }
}

TEST(norm_values, a_norm_that_is_nan_makes_the_gradient_nan) {
  const Kokkos::View<double, Memory> sum("sum");
  Kokkos::deep_copy(sum, std::nan(""));
  const auto g = to_device(std::vector<float>(3, 1.0f));
  clip_by_norm<float>(Exec(), 1.0, sum, g);
  Kokkos::fence();
  for (float value : to_host(g)) EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace partita::kernels::test::norm_tests
