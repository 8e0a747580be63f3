// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <partita/driver/watchdog.hpp>

namespace partita::driver::watchdog_tests {
namespace {

TEST(watchdog, names_the_last_step_when_nothing_moves) {
  std::atomic<bool> expired{false};
  index_t step = -1;
  std::string doing;
  Watchdog watchdog(0.05, [&](index_t at, const char* what) {
    step = at;
    doing = what;
    expired = true;
  });
  watchdog.beat(7, "an evaluation");
  while (!expired) std::this_thread::yield();  // the test's time-out bounds this
  EXPECT_EQ(step, 7);
  EXPECT_EQ(doing, "an evaluation");
}

TEST(watchdog, none_is_started_without_a_timeout) {
  std::atomic<bool> expired{false};
  {
    Watchdog watchdog(0, [&](index_t, const char*) { expired = true; });
    watchdog.beat(1, "a step");
  }
  EXPECT_FALSE(expired);
}

TEST(watchdog, a_timeout_that_is_known_later_holds_from_then_on) {
  std::atomic<bool> expired{false};
  Watchdog watchdog(1e6, [&](index_t, const char*) { expired = true; });
  watchdog.beat(1, "start-up");
  watchdog.set_timeout(0.05);
  EXPECT_EQ(watchdog.timeout_s(), 0.05);
  while (!expired) std::this_thread::yield();
  Watchdog never(0.2, [](index_t, const char*) { FAIL() << "expired"; });
  never.set_timeout(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
}

TEST(watchdog, leaves_at_once_when_the_run_is_over) {
  // Destroyed long before its timeout: the destructor must not wait for it (the test's time-out would end it).
  const Watchdog watchdog(1e6, [](index_t, const char*) { FAIL() << "expired"; });
}

}  // namespace
}  // namespace partita::driver::watchdog_tests
