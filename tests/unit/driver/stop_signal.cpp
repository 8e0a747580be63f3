// SPDX-License-Identifier: BSD-3-Clause
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include <partita/driver/stop_signal.hpp>

namespace partita::driver::stop_signal_tests {
namespace {

TEST(stop_signal, is_noted_and_does_not_end_the_process) {
  const StopSignal stop;
  EXPECT_EQ(stop.received(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(stop.received(), SIGTERM);
  EXPECT_EQ(std::string(signal_name(stop.received())), "SIGTERM");
}

TEST(stop_signal, a_new_one_has_heard_nothing) {
  {
    const StopSignal stop;
    std::raise(SIGUSR1);
    EXPECT_EQ(stop.received(), SIGUSR1);
  }
  const StopSignal stop;
  EXPECT_EQ(stop.received(), 0);
}

TEST(stop_signal_death, the_second_of_a_kind_ends_the_process) {
  EXPECT_EXIT(
      {
        const StopSignal stop;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

TEST(stop_signal_death, a_second_one_of_another_kind_does_too) {
  EXPECT_EXIT(
      {
        const StopSignal stop;
        std::raise(SIGUSR1);
        std::raise(SIGTERM);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace partita::driver::stop_signal_tests
