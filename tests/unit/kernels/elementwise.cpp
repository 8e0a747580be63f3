// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>

#include "support.hpp"

namespace partita::kernels::test {
namespace {

template <class Scalar>
class elementwise : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(elementwise, Scalars);

const std::vector<index_t> lengths = {0, 1, 3, 17, 33, 4095, 4096, 9001};  // around the block of a task

TYPED_TEST(elementwise, each_matches_its_formula_at_any_length_and_offset) {
  using Scalar = TypeParam;
  for (index_t n : lengths)
    for (index_t offset : {0, 1, 3}) {
      const auto a = random_values<Scalar>(1, n), b = random_values<Scalar>(2, n);
      std::vector<Scalar> sum = b, scaled = b;
      for (index_t i = 0; i < n; ++i) sum[i] += a[i], scaled[i] *= Scalar(0.3);
      const auto a_device = to_device(a, offset);

      const auto added = to_device(b, offset), multiplied = to_device(b, offset), filled = to_device(b, offset),
                 copied = to_device(b, offset);
      add(Exec(), a_device, added);
      scale(Exec(), Scalar(0.3), multiplied);
      fill(Exec(), Scalar(-2), filled);
      copy(Exec(), a_device, copied);
      Kokkos::fence();
      EXPECT_TRUE(same_bits(to_host(added), sum));
      EXPECT_TRUE(same_bits(to_host(multiplied), scaled));
      EXPECT_TRUE(same_bits(to_host(filled), std::vector<Scalar>(n, Scalar(-2))));
      EXPECT_TRUE(same_bits(to_host(copied), a));
    }
}

TYPED_TEST(elementwise, neighbours_stay_as_they_were) {
  using Scalar = TypeParam;
  const auto all = to_device(std::vector<Scalar>(100, Scalar(1)));
  fill<Scalar>(Exec(), 0, Kokkos::subview(all, Kokkos::pair(7, 90)));
  Kokkos::fence();
  const auto values = to_host(all);
  for (index_t i = 0; i < 100; ++i) EXPECT_EQ(values[i], Scalar(i < 7 || i >= 90 ? 1 : 0)) << i;
}

TEST(elementwise_shapes, different_lengths_are_an_error) {
  const Vector<float> a("a", 3), b("b", 4);
  EXPECT_THROW(add(Exec(), a, b), ShapeError);
  EXPECT_THROW(copy(Exec(), a, b), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test
