// SPDX-License-Identifier: BSD-3-Clause
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <partita/metrics/phase_timer.hpp>

#include <support/allocation_counter.hpp>

namespace partita::metrics::phase_timer_tests {
namespace {

using namespace partita;
using namespace partita::metrics;

// A clock that the test moves.
struct FakeClock {
  std::int64_t* now;
  int* readings = nullptr;
  std::int64_t operator()() const {
    if (readings != nullptr) ++*readings;
    return *now;
  }
};

using Timer = BasicPhaseTimer<FakeClock>;

const std::vector<Phase> three{
    {"forward", PhaseClass::compute}, {"allreduce", PhaseClass::communication}, {"wait", PhaseClass::wait}};
constexpr int forward = 0, allreduce = 1, wait_phase = 2;

double ns(double n) { return 1e-9 * n; }

TEST(phase_timer, measures_phases_and_leaves_gaps_unattributed) {
  std::int64_t now = 1000;
  const Exec exec;
  Timer timer(three, {&now});
  timer.begin_step(exec);
  now += 5;  // gap
  {
    const auto scope = timer.phase(forward, exec);
    now += 100;
  }
  now += 7;  // gap
  {
    const auto scope = timer.phase(allreduce, exec);
    now += 30;
  }
  {
    const auto scope = timer.phase(forward, exec);  // again: adds
    now += 1;
  }
  const StepTimes& times = timer.end_step(exec);
  EXPECT_EQ(times.start_ns, 1000);
  EXPECT_EQ(times.end_ns, 1143);
  EXPECT_DOUBLE_EQ(times.phase_s[forward], ns(101));
  EXPECT_DOUBLE_EQ(times.phase_s[allreduce], ns(30));
  EXPECT_EQ(times.phase_s[wait_phase], 0);
}

TEST(phase_timer, an_inner_phase_stops_the_outer_one) {
  std::int64_t now = 0;
  const Exec exec;
  Timer timer(three, {&now});
  timer.begin_step(exec);
  {
    const auto outer = timer.phase(forward, exec);
    now += 10;
    {
      const auto inner = timer.phase(allreduce, exec);
      now += 20;
      const auto innermost = timer.phase(wait_phase, exec);
      now += 40;
    }
    now += 80;
  }
  const StepTimes& times = timer.end_step(exec);
  EXPECT_DOUBLE_EQ(times.phase_s[forward], ns(90));
  EXPECT_DOUBLE_EQ(times.phase_s[allreduce], ns(20));
  EXPECT_DOUBLE_EQ(times.phase_s[wait_phase], ns(40));
}

TEST(phase_timer, marks_divide_a_step_without_rest) {
  std::int64_t now = 50;
  const Exec exec;
  Timer timer(three, {&now});
  timer.begin_step(exec);
  std::int64_t amount = 1;
  for (const int phase : {forward, wait_phase, allreduce, forward, wait_phase}) {
    timer.mark(phase, exec);
    now += amount;
    amount *= 10;
  }
  timer.mark(Timer::no_phase, exec);
  const StepTimes& times = timer.end_step(exec);
  EXPECT_DOUBLE_EQ(times.phase_s[forward], ns(1001));
  EXPECT_DOUBLE_EQ(times.phase_s[wait_phase], ns(10010));
  EXPECT_DOUBLE_EQ(times.phase_s[allreduce], ns(100));
  EXPECT_EQ(times.end_ns - times.start_ns, 11111);
}

TEST(phase_timer, end_of_a_step_closes_an_open_phase_and_the_next_starts_from_zero) {
  std::int64_t now = 0;
  const Exec exec;
  Timer timer(three, {&now});
  timer.begin_step(exec);
  timer.mark(forward, exec);
  now += 10;
  EXPECT_DOUBLE_EQ(timer.end_step(exec).phase_s[forward], ns(10));
  now += 1000;  // between steps
  timer.begin_step(exec);
  now += 3;
  const StepTimes& times = timer.end_step(exec);
  EXPECT_EQ(times.phase_s[forward], 0);
  EXPECT_EQ(times.start_ns, 1010);
  EXPECT_EQ(times.end_ns, 1013);
}

TEST(phase_timer, phases_outside_a_step_do_not_count) {
  std::int64_t now = 0;
  int readings = 0;
  const Exec exec;
  Timer timer(three, {&now, &readings});
  {
    const auto scope = timer.phase(forward, exec);  // an evaluation, say
    now += 100;
  }
  EXPECT_EQ(readings, 0);
  timer.begin_step(exec);
  now += 1;
  EXPECT_EQ(timer.end_step(exec).phase_s[forward], 0);
}

TEST(phase_timer, phases_sum_to_at_most_the_step_with_the_real_clock) {
  const Exec exec;
  PhaseTimer timer(three);
  for (int step = 0; step < 100; ++step) {
    timer.begin_step(exec);
    for (int i = 0; i < 20; ++i) {
      const auto outer = timer.phase(i % 3, exec);
      const auto inner = timer.phase((i + 1) % 3, exec);
    }
    const StepTimes& times = timer.end_step(exec);
    const double sum = std::accumulate(times.phase_s.begin(), times.phase_s.end(), 0.0);
    const double rounding = 1e-15 * sum * static_cast<double>(times.phase_s.size());
    EXPECT_LE(sum, seconds(times.end_ns - times.start_ns) + rounding);
  }
}

TEST(phase_timer, a_step_allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const Exec exec;
  PhaseTimer timer(three);
  partita::test::start_counting_allocations();
  timer.begin_step(exec);
  {
    const auto scope = timer.phase(forward, exec);
    timer.mark(wait_phase, exec);
  }
  timer.end_step(exec);
  EXPECT_EQ(partita::test::stop_counting_allocations().all, 0U);
}

}  // namespace
}  // namespace partita::metrics::phase_timer_tests
