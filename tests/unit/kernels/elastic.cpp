// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/elastic.hpp>

#include "support.hpp"

namespace partita::kernels::test::elastic_tests {
namespace {

template <class Scalar>
class elastic : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(elastic, Scalars);

TYPED_TEST(elastic, a_step_matches_its_formula_at_any_length_and_offset) {
  using Scalar = TypeParam;
  for (const index_t n : {0, 1, 3, 17, 33, 4095, 4096, 9001})
    for (const index_t offset : {0, 1, 3}) {
      const auto g = random_values<Scalar>(1, n), c = random_values<Scalar>(2, n), x = random_values<Scalar>(3, n);
      std::vector<Scalar> moved, pull;
      for (index_t i = 0; i < n; ++i) {
        pull.push_back(Scalar(0.3) * (x[i] - c[i]));
        moved.push_back(x[i] - Scalar(0.7) * g[i] - pull.back());
      }
      const auto g_device = to_device(g, offset), c_device = to_device(c, offset), x_device = to_device(x, offset),
                 e_device = to_device(std::vector<Scalar>(n, Scalar(5)), offset);
      elastic_step<Scalar>(Exec(), 0.7, 0.3, g_device, c_device, x_device, e_device);
      Kokkos::fence();
      // A compiler may fuse products and sums: one rounding of a number below 8 less.
      const Scalar tolerance = 8 * std::numeric_limits<Scalar>::epsilon();
      const auto e_there = to_host(e_device), x_there = to_host(x_device);
      for (index_t i = 0; i < n; ++i) {
        ASSERT_NEAR(e_there[i], pull[i], tolerance) << i << " of " << n;
        ASSERT_NEAR(x_there[i], moved[i], tolerance) << i << " of " << n;
      }
      EXPECT_EQ(to_host(g_device), g);
      EXPECT_EQ(to_host(c_device), c);
    }
}

// What a worker is pulled back is what the centre is moved by: their sum moves by the gradient alone.
TYPED_TEST(elastic, springs_move_both_ends_alike) {
  using Scalar = TypeParam;
  const std::vector<Scalar> none(3, Scalar(0));
  const auto g = to_device(none), c = to_device(std::vector<Scalar>{1, -2, 4}),
             x = to_device(std::vector<Scalar>{3, 2, 4}), e = to_device(none);
  elastic_step<Scalar>(Exec(), 1, 0.25, g, c, x, e);
  Kokkos::fence();
  EXPECT_EQ(to_host(e), (std::vector<Scalar>{0.5, 1, 0}));
  EXPECT_EQ(to_host(x), (std::vector<Scalar>{2.5, 1, 4}));
}

TYPED_TEST(elastic, neighbours_stay_as_they_were) {
  using Scalar = TypeParam;
  const auto all = [](Scalar value) { return to_device(std::vector<Scalar>(100, value)); };
  const auto inner = [](const Vector<Scalar>& of) { return Vector<Scalar>(Kokkos::subview(of, Kokkos::pair(7, 90))); };
  const Vector<Scalar> x = all(1), e = all(1);
  elastic_step<Scalar>(Exec(), 1, 0.5, inner(all(2)), inner(all(3)), inner(x), inner(e));
  Kokkos::fence();
  const auto x_there = to_host(x), e_there = to_host(e);
  for (index_t i = 0; i < 100; ++i) {
    const bool in = i >= 7 && i < 90;
    EXPECT_EQ(x_there[i], Scalar(in ? 0 : 1)) << i;
    EXPECT_EQ(e_there[i], Scalar(in ? -1 : 1)) << i;
  }
}

TYPED_TEST(elastic, extents_that_differ_are_refused) {
  using Scalar = TypeParam;
  const auto of = [](index_t n) { return Vector<Scalar>("test", n); };
  const auto message = [&](index_t g, index_t c, index_t e) {
    return caught<ShapeError>([&] { elastic_step<Scalar>(Exec(), 1, 1, of(g), of(c), of(4), of(e)); });
  };
  EXPECT_EQ(message(4, 4, 4), "nothing was thrown");
  EXPECT_NE(message(3, 4, 4).find("elastic_step: g"), std::string::npos) << message(3, 4, 4);
  EXPECT_NE(message(4, 5, 4).find("elastic_step: c"), std::string::npos) << message(4, 5, 4);
  EXPECT_NE(message(4, 4, 3).find("elastic_step: e"), std::string::npos) << message(4, 4, 3);
}

}  // namespace
}  // namespace partita::kernels::test::elastic_tests
