// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <gtest/gtest.h>

#include <partita/driver/collector.hpp>

#include <support/allocation_counter.hpp>
#include <support/mpi.hpp>

namespace partita::driver::collector_tests {
namespace {

using partita::test::world;

struct Steps {
  explicit Steps(std::optional<bool> norm_part = {}) : collector(exec, 7, 3, 1, world().rank() + 1, norm_part) {
    times.phase_s = {0.5};
  }

  // Terms are powers of ten, so that a sum tells which arrived; the norm is left alone where it is negative.
  void step(double norm) {
    const StepOutput out = collector.output();
    Kokkos::deep_copy(exec, out.losses, std::pow(10.0, world().rank()));
    if (norm >= 0) Kokkos::deep_copy(exec, out.grad_norm, norm + 100 * world().rank());
    collector.add(times);
  }
  metrics::StepRows flush() {
    return collector.flush(
        exec, world(), [](std::span<const double> terms) { return std::accumulate(terms.begin(), terms.end(), 0.0); });
  }

  Exec exec;
  Collector collector;
  metrics::StepTimes times;
};

TEST(collector, gathers_losses_of_all_ranks_and_the_norm_of_rank_0) {
  Steps steps;
  steps.step(1.5);
  steps.step(2.5);
  const metrics::StepRows rows = steps.flush();
  EXPECT_EQ(rows.count, 2);
  if (!world().is_root()) return;
  const double sums[] = {1, 21, 321};  // rank r has r + 1 terms
  EXPECT_EQ(rows.loss, std::vector<double>(2, sums[world().size() - 1]));
  EXPECT_EQ(rows.grad_norm, (std::vector<double>{1.5, 2.5}));
}

// A run that goes on from a checkpoint counts on; the rank whose loss is not finite first is known on rank 0.
TEST(collector, counts_from_its_first_step_and_knows_whose_loss_is_bad) {
  Steps steps;
  steps.step(1);
  EXPECT_EQ(steps.flush().first_step, 7);
  EXPECT_EQ(steps.collector.bad_rank(), -1);
  const int last = world().size() - 1;
  for (int s = 0; s < 2; ++s) {
    const StepOutput out = steps.collector.output();
    const bool bad = s == 1 || world().rank() == last;  // in the first of two steps the last rank's alone
    Kokkos::deep_copy(steps.exec, out.losses, bad ? metrics::not_a_number : 1.0);
    steps.collector.add(steps.times);
  }
  EXPECT_EQ(steps.flush().first_step, 8);
  if (!world().is_root()) return;
  EXPECT_EQ(steps.collector.bad_rank(), last);
}

TEST(collector, puts_norms_of_parts_together_and_leaves_out_what_others_have_too) {
  const bool counts = world().size() == 1 || world().rank() + 1 < world().size();
  Steps steps(counts);
  steps.step(3);
  steps.step(4);
  const metrics::StepRows rows = steps.flush();
  if (!world().is_root()) return;
  for (const int s : {0, 1}) {
    double squares = 0;
    for (int rank = 0; rank < std::max(1, world().size() - 1); ++rank) squares += std::pow(3 + s + 100 * rank, 2);
    EXPECT_DOUBLE_EQ(rows.grad_norm.at(static_cast<std::size_t>(s)), std::sqrt(squares));
  }
}

TEST(collector, a_step_without_a_gradient_has_no_norm_in_any_window) {
  Steps steps;
  steps.step(-1);
  steps.step(4);
  steps.step(5);
  EXPECT_TRUE(steps.collector.full());
  const metrics::StepRows first = steps.flush();
  steps.step(6);
  steps.step(-1);  // where the last window left a 4
  const metrics::StepRows second = steps.flush();
  EXPECT_EQ(second.first_step, 7 + 3);
  if (!world().is_root()) return;
  EXPECT_TRUE(std::isnan(first.grad_norm.at(0)));
  EXPECT_EQ(first.grad_norm.at(2), 5);
  EXPECT_EQ(second.grad_norm.at(0), 6);
  EXPECT_TRUE(std::isnan(second.grad_norm.at(1)));
}

TEST(collector, a_step_allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  Steps steps;
  partita::test::start_counting_allocations();
  const StepOutput out = steps.collector.output();
  steps.collector.add(steps.times);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_EQ(count.ours(), 0u) << "the last by " << count.last_of_ours;
  EXPECT_EQ(out.losses.extent(0), static_cast<std::size_t>(world().rank() + 1));
}

}  // namespace
}  // namespace partita::driver::collector_tests
