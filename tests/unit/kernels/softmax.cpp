// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/rows.hpp>
#include <partita/kernels/softmax.hpp>

#include "numbers.hpp"

namespace partita::kernels::test::softmax_tests {
namespace {

template <class Scalar>
std::vector<Scalar> forward(const Exec& exec, const std::vector<Scalar>& x, index_t B, index_t C, Placement p) {
  const Placed<Scalar> x_placed(x, B, C, p), y(B, C, p);
  softmax_forward(exec, x_placed.matrix(), y.matrix());
  exec.fence();
  EXPECT_TRUE(y.surroundings_untouched());
  return y.values();
}

template <class Scalar>
std::vector<Scalar> backward(const Exec& exec, const std::vector<Scalar>& y, const std::vector<Scalar>& dy, index_t B,
                             index_t C, Placement p) {
  const Placed<Scalar> y_placed(y, B, C, p), dy_placed(dy, B, C, p), dx(B, C, p);
  softmax_backward(exec, y_placed.matrix(), dy_placed.matrix(), dx.matrix());
  exec.fence();
  EXPECT_TRUE(dx.surroundings_untouched());
  return dx.values();
}

template <class Scalar>
class softmax : public ::testing::Test {};
TYPED_TEST_SUITE(softmax, AllScalars);

TYPED_TEST(softmax, agrees_with_the_reference) {
  using Scalar = TypeParam;
  const double u = roundoff<Scalar>;
  for (Placement p : placements)
    for (index_t B : odd_sizes)
      for (index_t C : {0, 1, 3, 17, 33, 300}) {
        const auto x = random_values<Scalar>(1, B * C), dy = random_values<Scalar>(2, B * C);
        // The argument of exp errs by u times its size, exp by 2 u, sum and quotient by C + 2 roundings.
        const double range = 2 * largest(in_double(x));
        const auto y = forward(Exec(), x, B, C, p);
        EXPECT_TRUE(close(y, reference::softmax_forward(in_double(x), B, C), 2 * (range + double(C) + 8) * u));
        const auto dx = backward(Exec(), y, dy, B, C, p);
        EXPECT_TRUE(close(dx, reference::softmax_backward(in_double(y), in_double(dy), B, C),
                          2 * (double(C) + 4) * u * 2 * largest(in_double(dy))));
      }
}

TYPED_TEST(softmax, of_a_part_is_the_part_for_any_number_of_threads) {
  using Scalar = TypeParam;
  constexpr index_t B = 19, C = 75;
  const auto x = random_values<Scalar>(1, B * C), dy = random_values<Scalar>(2, B * C);
  const auto y = forward(Exec(), x, B, C, {}), dx = backward(Exec(), y, dy, B, C, {});
  const auto rows = [](const std::vector<Scalar>& of, index_t first, index_t n) {
    return std::vector<Scalar>(of.begin() + first * C, of.begin() + (first + n) * C);
  };
  for (const Exec& exec : instances())
    for (index_t first : {0, 1, 7})
      for (index_t n : {1, 3, 12}) {
        EXPECT_TRUE(same_bits(forward(exec, rows(x, first, n), n, C, {1, 3}), rows(y, first, n)));
        EXPECT_TRUE(same_bits(backward(exec, rows(y, first, n), rows(dy, first, n), n, C, {3, 5}), rows(dx, first, n)));
      }
}

TYPED_TEST(softmax, may_work_in_place) {
  using Scalar = TypeParam;
  const auto x = random_values<Scalar>(1, 5 * 40), dy = random_values<Scalar>(2, 5 * 40);
  const Placed<Scalar> y(x, 5, 40), dx(dy, 5, 40);
  softmax_forward(Exec(), y.matrix(), y.matrix());
  softmax_backward(Exec(), y.matrix(), dx.matrix(), dx.matrix());
  Kokkos::fence();
  EXPECT_TRUE(same_bits(y.values(), forward(Exec(), x, 5, 40, {})));
  EXPECT_TRUE(same_bits(dx.values(), backward(Exec(), y.values(), dy, 5, 40, {})));
}

TEST(softmax_gradient, is_the_slope_in_double) {
  const index_t B = 3, C = 5;
  const auto x = random_values<double>(1, B * C), dy = random_values<double>(2, B * C);
  const auto dx = backward(Exec(), forward(Exec(), x, B, C, {}), dy, B, C, {});
  expect_slope([&](const auto& at) { return product(forward(Exec(), at, B, C, {}), dy); }, x, dx);
}

TEST(softmax_range, large_scores_do_not_overflow_and_hidden_ones_are_zero) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto y = forward<float>(Exec(), {1000, 1000, -infinity, -1000}, 1, 4, {});
  EXPECT_TRUE(same_bits(y, std::vector<float>{0.5f, 0.5f, 0.0f, 0.0f}));
  EXPECT_TRUE(std::isnan(forward<float>(Exec(), {1, NAN, 2}, 1, 3, {})[0]));
}

TEST(softmax_shapes, errors_name_operand_and_extents) {
  const Matrix<float> x("x", 2, 3), y("y", 2, 4);
  EXPECT_EQ(caught<ShapeError>([&] { softmax_forward(Exec(), x, y); }),
            "softmax_forward: y is (2, 4), x is (2, 3): expected the same shape (B, C)");
  EXPECT_THROW(softmax_backward(Exec(), x, y, x), ShapeError);
  EXPECT_THROW(softmax_backward(Exec(), x, x, y), ShapeError);
}

// Named functors: nvcc takes no lambda of a test into device code.
template <class Scalar>
struct Element {
  const Scalar* x;
  KOKKOS_FUNCTION Scalar operator()(index_t i) const { return x[i]; }
};
template <class Scalar>
struct CopyElement {
  const Scalar* x;
  Scalar* y;
  KOKKOS_FUNCTION void operator()(index_t i) const { y[i] = x[i]; }
};

/// What a device's team does, by a team of one thread, against a host's vectors.
template <class Scalar>
class softmax_row_tools : public ::testing::Test {};
using Sums = ::testing::Types<float, double>;
TYPED_TEST_SUITE(softmax_row_tools, Sums);

TYPED_TEST(softmax_row_tools, a_team_gives_the_bits_of_a_host_row) {
  using Scalar = TypeParam;
  for (index_t n : {0, 1, 3, 17, 33, 64, 100, 1000}) {
    const auto x = random_values<Scalar>(1, n);
    const Element<Scalar> f{x.data()};
    Scalar lane[backend::row_lanes];
    const backend::AloneTeam alone;
    const backend::TeamRow<backend::AloneTeam, Scalar> team{alone, lane};
    const backend::HostRow host;
    EXPECT_EQ(team.template sum<Scalar>(n, f), host.template sum<Scalar>(n, f));
    EXPECT_EQ(team.template most<Scalar>(n, f), host.template most<Scalar>(n, f));
    EXPECT_NEAR(double(host.template sum<Scalar>(n, f)), product(in_double(x), Numbers(n, 1.0)),
                double(n) * roundoff<Scalar> * 4 * double(n));
    std::vector<Scalar> copy(n);
    team.each(n, CopyElement<Scalar>{x.data(), copy.data()});
    EXPECT_TRUE(same_bits(copy, x));
  }
}

}  // namespace
}  // namespace partita::kernels::test::softmax_tests
