// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>

#include "support.hpp"

namespace partita::kernels::test::elementwise_tests {
namespace {

template <class Scalar>
class elementwise : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(elementwise, Scalars);

const std::vector<index_t> lengths = {0, 1, 3, 17, 33, 4095, 4096, 9001};  // around the block of a task

TYPED_TEST(elementwise, each_matches_its_formula_at_any_length_and_offset) {
  using Scalar = TypeParam;
  for (index_t n : lengths)
    for (index_t offset : {0, 1, 3}) {
      const auto a = random_values<Scalar>(1, n), b = random_values<Scalar>(2, n);
      std::vector<Scalar> sum = b, scaled = b;
      std::vector<Scalar> cut = b, triple = b;
      using Number = accumulate_t<Scalar>;
      for (index_t i = 0; i < n; ++i) {
        const auto x = Number(a[i]), y = Number(b[i]), factor = Number(0.3);
        sum[i] = Scalar(x + y);
        cut[i] = Scalar(x + y < 0 ? Number(0) : x + y);
        scaled[i] = Scalar(y * factor);
        triple[i] = Scalar(x + factor * y);
      }
      const auto a_device = to_device(a, offset);

      const auto added = to_device(b, offset), multiplied = to_device(b, offset), filled = to_device(b, offset),
                 copied = to_device(b, offset), into = to_device(b, offset), relu = to_device(b, offset),
                 c = to_device(b, offset);
      const auto b_device = to_device(b, offset);
      add(Exec(), a_device, added);
      add(Exec(), a_device, b_device, into);
      add_relu(Exec(), a_device, b_device, relu);
      triad(Exec(), Number(0.3), a_device, b_device, c);
      scale(Exec(), Number(0.3), multiplied);
      fill(Exec(), Scalar(-2), filled);
      copy(Exec(), a_device, copied);
      Kokkos::fence();
      EXPECT_TRUE(same_bits(to_host(into), sum));
      EXPECT_TRUE(same_bits(to_host(relu), cut));
      EXPECT_TRUE(same_bits(to_host(c), triple));
      EXPECT_TRUE(same_bits(to_host(added), sum));
      EXPECT_TRUE(same_bits(to_host(multiplied), scaled));
      EXPECT_TRUE(same_bits(to_host(filled), std::vector<Scalar>(n, Scalar(-2))));
      EXPECT_TRUE(same_bits(to_host(copied), a));
    }
}

TYPED_TEST(elementwise, neighbours_stay_as_they_were) {
  using Scalar = TypeParam;
  const auto all = to_device(std::vector<Scalar>(100, Scalar(1)));
  fill<Scalar>(Exec(), Scalar(0), Kokkos::subview(all, Kokkos::pair(7, 90)));
  Kokkos::fence();
  const auto values = to_host(all);
  for (index_t i = 0; i < 100; ++i) EXPECT_EQ(values[i], Scalar(i < 7 || i >= 90 ? 1 : 0)) << i;
}

template <class Scalar>
void check_scaled() {
  for (index_t n : lengths)
    for (index_t offset : {0, 1, 3}) {
      const auto x = random_values<Scalar>(1, n), there = random_values<Scalar>(2, n);
      std::vector<Scalar> scaled, added;
      for (index_t i = 0; i < n; ++i) {
        scaled.push_back(Scalar(0.3 * double(x[i])));
        added.push_back(Scalar(double(there[i]) + 0.3 * double(x[i])));
      }
      const auto x_at = to_device(x, offset), overwritten = to_device(there, offset), sum = to_device(there, offset);
      scale(Exec(), Store::overwrite, 0.3, x_at, overwritten);
      scale(Exec(), Store::accumulate, 0.3, x_at, sum);
      scale(Exec(), Store::overwrite, 0.3, x_at, x_at);
      Kokkos::fence();
      EXPECT_TRUE(same_bits(to_host(overwritten), scaled));
      EXPECT_TRUE(same_bits(to_host(sum), added));
      EXPECT_TRUE(same_bits(to_host(x_at), scaled));
    }
}
TEST(elementwise_scale, is_stored_or_added) {
  check_scaled<float>();
  check_scaled<double>();
}

TEST(elementwise_shapes, different_lengths_are_an_error) {
  const Vector<float> a("a", 3), b("b", 4);
  EXPECT_THROW(add(Exec(), a, b), ShapeError);
  EXPECT_THROW(copy(Exec(), a, b), ShapeError);
  EXPECT_THROW(scale(Exec(), Store::accumulate, 2, a, b), ShapeError);
  EXPECT_THROW(add(Exec(), a, b, b), ShapeError);
  EXPECT_THROW(add(Exec(), a, a, b), ShapeError);
  EXPECT_THROW(add_relu(Exec(), a, b, b), ShapeError);
  EXPECT_THROW(triad(Exec(), 2, a, a, b), ShapeError);
}

TEST(elementwise_shapes, sums_may_overwrite_an_operand_and_relu_keeps_nan) {
  const auto a = to_device(std::vector<float>{1, -3, std::nanf("")}), b = to_device(std::vector<float>{2, 1, 0});
  add_relu(Exec(), a, b, a);
  add(Exec(), a, b, b);
  Kokkos::fence();
  EXPECT_EQ(to_host(a)[0], 3);
  EXPECT_EQ(to_host(a)[1], 0);
  EXPECT_TRUE(std::isnan(to_host(a)[2]));
  EXPECT_EQ(to_host(b)[0], 5);
}

}  // namespace
}  // namespace partita::kernels::test::elementwise_tests
