// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <partita/driver/watchdog.hpp>
#include <partita/metrics/phase_timer.hpp>

namespace partita::driver::watchdog_tests {
namespace {

const auto nobody = [](const Judgement&) { FAIL() << "expired"; };

TEST(watchdog, names_the_last_step_when_nothing_moves) {
  comm::WaitBoard waits;
  std::atomic<bool> expired{false};
  Judgement said;
  Watchdog watchdog(nullptr, waits, 0.05, [&](const Judgement& judgement) {
    said = judgement;
    expired = true;
  });
  watchdog.beat(7, "an evaluation");
  while (!expired) std::this_thread::yield();  // the test's time-out bounds this
  EXPECT_EQ(said.reason, "no progress for 0.05 s after step 7, in an evaluation");
}

TEST(watchdog, names_the_phase_and_what_is_waited_for) {
  comm::WaitBoard waits;
  std::atomic<bool> expired{false};
  Judgement said;
  Watchdog watchdog(nullptr, waits, 0.1, [&](const Judgement& judgement) {
    said = judgement;
    expired = true;
  });
  metrics::PhaseTimer timer(
      {{"forward", metrics::PhaseClass::compute}, {"exchange", metrics::PhaseClass::communication}});
  timer.show(watchdog.show_phases({"forward", "exchange"}));
  watchdog.beat(3, "a step", true);
  timer.begin_step(Exec{});
  timer.mark(1, Exec{});
  const comm::Waiting waiting(&waits, {.operation = "allreduce", .axis = "data", .call = 9, .bytes = 64, .peer = 5});
  while (!expired) std::this_thread::yield();
  EXPECT_EQ(said.reason, "no progress for 0.1 s after step 3, in exchange");
  EXPECT_TRUE(
      said.lines.starts_with("rank 0: step 3, exchange, allreduce 9 (axis data), 64 bytes, waits for rank 5 since"))
      << said.lines;
}

// Each of them alone keeps it quiet for several times its limit.
TEST(watchdog, phases_and_waits_are_signs_of_life) {
  for (const bool phases : {true, false}) {
    comm::WaitBoard waits;
    Watchdog watchdog(nullptr, waits, 1, nobody);
    std::atomic<std::int64_t>& shown = watchdog.show_phases({"forward"});
    watchdog.beat(1, "a step", true);
    for (int k = 0; k < 150; ++k) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (phases)
        shown = k << 16;
      else
        const comm::Waiting waiting(&waits, {.operation = "receive"});
    }
  }
}

TEST(watchdog, none_is_started_without_a_timeout) {
  comm::WaitBoard waits;
  Watchdog watchdog(nullptr, waits, 0, nobody);
  watchdog.beat(1, "a step");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

TEST(watchdog, a_timeout_that_is_known_later_holds_from_then_on) {
  comm::WaitBoard waits;
  std::atomic<bool> expired{false};
  Watchdog watchdog(nullptr, waits, 1e6, [&](const Judgement&) { expired = true; });
  watchdog.beat(1, "start-up");
  watchdog.set_limits(0.05);
  while (!expired) std::this_thread::yield();
  Watchdog never(nullptr, waits, 0.2, nobody);
  never.set_limits(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
}

TEST(watchdog, the_limit_of_steps_holds_within_steps_alone) {
  comm::WaitBoard waits;
  std::atomic<bool> expired{false};
  Watchdog watchdog(nullptr, waits, 1e6, [&](const Judgement&) { expired = true; });
  watchdog.set_limits(1e6, 0.05);
  watchdog.beat(4, "a flush of the record");
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_FALSE(expired);
  watchdog.beat(5, "a step", true);
  while (!expired) std::this_thread::yield();
}

TEST(watchdog, leaves_at_once_when_the_run_is_over) {
  // Destroyed long before its timeout: the destructor must not wait for it (the test's time-out would end it).
  comm::WaitBoard waits;
  const Watchdog watchdog(nullptr, waits, 1e6, nobody);
}

}  // namespace
}  // namespace partita::driver::watchdog_tests
