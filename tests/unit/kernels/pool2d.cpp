// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/pool2d.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::pool2d_tests {
namespace {

/// Windows that overlap, touch and leave gaps, with and without padding; channels at odd sizes and beyond a block.
std::vector<std::pair<index_t, Pool2dShape>> all_shapes() {
  std::vector<std::pair<index_t, Pool2dShape>> all;
  for (index_t channels : {0, 1, 3, 17, 33, 70}) all.push_back({2, {5, 4, channels, 2, 2, 2, 0}});
  for (index_t B : {0, 1, 17, 33}) all.push_back({B, {6, 5, 3, 3, 2, 1, 1}});
  for (index_t stride : {1, 2, 3})
    for (index_t padding : {0, 1})
      for (index_t kernel : {2, 3}) all.push_back({2, {7, 8, 3, kernel, kernel, stride, padding}});
  all.push_back({2, {7, 7, 5, 7, 7, 1, 0}});
  all.push_back({2, {2, 2, 5, 3, 3, 1, 0}});  // no window fits
  return all;
}

template <class Scalar>
class pool2d : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(pool2d, Scalars);

/// Values of which several are equal.
template <class Scalar>
std::vector<Scalar> coarse(std::uint64_t seed, index_t n) {
  auto values = random_values<Scalar>(seed, n);
  for (Scalar& v : values) v = Scalar(std::round(2 * double(v)) / 2);
  return values;
}

TYPED_TEST(pool2d, is_the_reference_bit_for_bit_on_any_number_of_threads) {
  using Scalar = TypeParam;
  for (const auto& [B, s] : all_shapes())
    for (const Exec& exec : instances())
      for (Placement p : placements) {
        SCOPED_TRACE("B " + std::to_string(B) + " channels " + std::to_string(s.channels) + " kernel " +
                     std::to_string(s.kernel_rows) + " stride " + std::to_string(s.stride) + " padding " +
                     std::to_string(s.padding));
        const auto x = coarse<Scalar>(1, B * s.inputs()), dy = random_values<Scalar>(2, B * s.outputs());
        const Placed<Scalar> x_at(x, B, s.inputs(), p), dy_at(dy, B, s.outputs(), p), y(B, s.outputs(), p),
            dx(B, s.inputs(), p), average(B, s.outputs(), p), daverage(B, s.inputs(), p);
        const Placed<std::int32_t> winner(B, s.outputs(), p);
        max_pool2d_forward(exec, s, x_at.matrix(), y.matrix(), winner.matrix());
        max_pool2d_backward(exec, s, dy_at.matrix(), winner.matrix(), dx.matrix());
        average_pool2d_forward(exec, s, x_at.matrix(), average.matrix());
        average_pool2d_backward(exec, s, dy_at.matrix(), daverage.matrix());
        exec.fence();
        const auto [y_expected, winner_expected] = reference::max_pool2d_forward(s, x, B);
        EXPECT_TRUE(same_bits(y.values(), y_expected));
        EXPECT_TRUE(same_bits(winner.values(), winner_expected));
        EXPECT_TRUE(same_bits(dx.values(), reference::max_pool2d_backward(s, dy, winner_expected, B)));
        EXPECT_TRUE(same_bits(average.values(), reference::average_pool2d_forward(s, x, B)));
        EXPECT_TRUE(same_bits(daverage.values(), reference::average_pool2d_backward(s, dy, B)));
        for (const auto* written : {&y, &dx, &average, &daverage}) EXPECT_TRUE(written->surroundings_untouched());
        EXPECT_TRUE(winner.surroundings_untouched());
      }
}

TYPED_TEST(pool2d, global_average_is_the_reference_bit_for_bit) {
  using Scalar = TypeParam;
  for (index_t B : odd_sizes)
    for (index_t pixels : {0, 1, 3, 49})
      for (index_t C : {0, 1, 3, 17, 33, 70})
        for (const Exec& exec : instances()) {
          const Placement p = placements[std::size_t(B + C) % placements.size()];
          const auto x = random_values<Scalar>(1, B * pixels * C), dy = random_values<Scalar>(2, B * C);
          const Placed<Scalar> x_at(x, B, pixels * C, p), y(B, C, p), dy_at(dy, B, C, p), dx(B, pixels * C, p);
          global_average_pool2d_forward(exec, pixels, {}, x_at.matrix(), y.matrix());
          global_average_pool2d_backward(exec, pixels, dy_at.matrix(), dx.matrix());
          exec.fence();
          EXPECT_TRUE(same_bits(y.values(), reference::global_average_pool2d_forward(x, B, pixels, C)));
          EXPECT_TRUE(same_bits(dx.values(), reference::global_average_pool2d_backward(dy, B, pixels, C)));
          EXPECT_TRUE(y.surroundings_untouched() && dx.surroundings_untouched());
        }
}

TEST(pool2d_values, a_nan_wins) {
  const Pool2dShape s{2, 2, 1, 2, 2, 2, 0};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int at = 0; at < 4; ++at) {
    std::vector<float> x = {1, 5, 2, 3};
    x[std::size_t(at)] = nan;
    const Placed<float> x_at(x, 1, 4), y(1, 1);
    const Placed<std::int32_t> winner(1, 1);
    max_pool2d_forward(Exec(), s, x_at.matrix(), y.matrix(), winner.matrix());
    Exec().fence();
    EXPECT_TRUE(std::isnan(y.values()[0]));
    EXPECT_EQ(winner.values()[0], at);
  }
}

/// Both poolings are linear between ties: differences are exact but for rounding.
TEST(pool2d_gradient, is_the_slope_of_the_outputs) {
  const Pool2dShape s{5, 6, 2, 3, 2, 2, 1};
  const index_t B = 2;
  const auto x = random_values<double>(1, B * s.inputs()), weight = random_values<double>(2, B * s.outputs());
  const auto values = [&](const std::vector<double>& at) {
    const Placed<double> x_at(at, B, s.inputs()), y(B, s.outputs()), average(B, s.outputs());
    const Placed<std::int32_t> winner(B, s.outputs());
    max_pool2d_forward(Exec(), s, x_at.matrix(), y.matrix(), winner.matrix());
    average_pool2d_forward(Exec(), s, x_at.matrix(), average.matrix());
    Exec().fence();
    std::pair<double, double> sums;
    const auto maxima = y.values(), averages = average.values();
    for (std::size_t i = 0; i < maxima.size(); ++i)
      sums.first += weight[i] * maxima[i], sums.second += weight[i] * averages[i];
    return std::tuple(sums, winner);
  };
  const auto winner = std::get<1>(values(x));
  const Placed<double> dy(weight, B, s.outputs()), dx(B, s.inputs()), daverage(B, s.inputs());
  max_pool2d_backward(Exec(), s, dy.matrix(), winner.matrix(), dx.matrix());
  average_pool2d_backward(Exec(), s, dy.matrix(), daverage.matrix());
  Exec().fence();
  const double h = 1e-6;  // far below the distance of two values
  for (std::size_t i = 0; i < x.size(); ++i) {
    auto up = x, down = x;
    up[i] += h, down[i] -= h;
    const auto above = std::get<0>(values(up)), below = std::get<0>(values(down));
    EXPECT_NEAR(dx.values()[i], (above.first - below.first) / (2 * h), 1e-8);
    EXPECT_NEAR(daverage.values()[i], (above.second - below.second) / (2 * h), 1e-8);
  }
}

TEST(pool2d_shapes, errors_name_operand_and_extents) {
  const Matrix<float> four("four", 1, 4), one("one", 1, 1);
  const Matrix<std::int32_t> winner("winner", 1, 1), winners("winners", 2, 1);
  const Pool2dShape s{2, 2, 1, 2, 2, 2, 0};
  EXPECT_EQ(caught<ShapeError>([&] { average_pool2d_forward(Exec(), s, one, one); }),
            "average_pool2d_forward: x has 1 columns, an image has 4 numbers: expected rows x columns x channels of "
            "them");
  EXPECT_EQ(caught<ShapeError>([&] {
              average_pool2d_forward(Exec(), {2, 2, 1, 2, 2, 2, 2}, four, one);
            }),
            "average_pool2d_forward: a kernel of 2 x 2, stride 2, padding 2: expected padding of at most half the "
            "kernel");
  EXPECT_THROW(max_pool2d_forward(Exec(), s, four, one, winners), ShapeError);
  EXPECT_THROW(max_pool2d_backward(Exec(), s, four, winner, four), ShapeError);
  EXPECT_THROW(average_pool2d_backward(Exec(), {2, 2, 1, 2, 2, 2, 2}, one, four), ShapeError);
  EXPECT_THROW(global_average_pool2d_forward(Exec(), 3, {}, four, one), ShapeError);
  EXPECT_THROW(global_average_pool2d_backward(Exec(), 3, one, four), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::pool2d_tests
