// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/reference.hpp>
#include <partita/kernels/statistics.hpp>

#include "support.hpp"

namespace partita::kernels::test::statistics_tests {
namespace {

template <class Real>
class statistics : public ::testing::Test {};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(statistics, Reals);

TYPED_TEST(statistics, move_towards_the_sum_as_the_reference_does_whatever_the_threads_and_the_place) {
  using Real = TypeParam;
  const OptimizerStateView state("state");
  for (index_t n : {0, 1, 3, 17, 33, 4095, 4096, 4097, 9001}) {
    const auto sum = random_values<Real>(1, n);
    auto expected = random_values<Real>(2, n);
    reference::statistics_update(0.1, sum, expected);
    for (const Exec& exec : instances())
      for (index_t offset : {0, 1, 3}) {
        const auto running = to_device(random_values<Real>(2, n), offset);
        statistics_update<Real>(exec, 0.1, state, to_device(sum, 2 * offset), running);
        exec.fence();
        EXPECT_TRUE(same_bits(to_host(running), expected)) << n;
      }
  }
}

TYPED_TEST(statistics, of_a_step_that_is_skipped_stay) {
  using Real = TypeParam;
  OptimizerState skipping;
  skipping.skip = 1;
  const OptimizerStateView state("state");
  Kokkos::deep_copy(state, Kokkos::View<OptimizerState, Kokkos::HostSpace>(&skipping));
  const auto before = random_values<Real>(2, 17);
  const auto running = to_device(before);
  statistics_update<Real>(Exec(), 0.1, state, to_device(std::vector<Real>(17, Real(HUGE_VAL))), running);
  Kokkos::fence();
  EXPECT_TRUE(same_bits(to_host(running), before));
}

TEST(statistics_errors, lengths_must_agree) {
  const OptimizerStateView state("state");
  const Vector<float> sum("sum", 3), running("running", 4);
  EXPECT_EQ(caught<ShapeError>([&] { statistics_update<float>(Exec(), 0.1, state, sum, running); }),
            "statistics_update: sum has 3 elements, running has 4 elements: expected sum (n) and running (n) with the "
            "same n");
}

}  // namespace
}  // namespace partita::kernels::test::statistics_tests
