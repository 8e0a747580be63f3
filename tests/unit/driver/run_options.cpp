// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/driver/run_options.hpp>

#include <support/caught.hpp>

namespace partita::driver::run_options_tests {
namespace {

using partita::testing::caught;

RunOptions read(const std::string& events) {
  config::Deck deck = config::Deck::parse("", "", {"record.events=" + events});
  return read_run_options(deck, "x.h5");
}

TEST(run_options, events_choose_steps_with_both_ends) {
  EXPECT_EQ(read("[3, 5]").first_event_step, 3);
  EXPECT_EQ(read("[3, 5]").last_event_step, 5);
  EXPECT_EQ(read("[0, 0]").last_event_step, 0);
}

TEST(run_options, no_events_by_default) {
  config::Deck deck = config::Deck::parse("", "", {});
  const RunOptions run = read_run_options(deck, "x.h5");
  EXPECT_LT(run.last_event_step, run.first_event_step);
  EXPECT_LT(read("[]").last_event_step, 0);
  EXPECT_NE(deck.resolved().find("events = []"), std::string::npos);
}

TEST(run_options, what_no_clock_can_wait_for_is_refused) {
  for (const char* wrong : {"run.hang_timeout_s=1e300", "run.time_limit_s=1e300", "run.warmup=9223372036854775807"}) {
    config::Deck deck = config::Deck::parse("", "", {wrong});
    EXPECT_NE(caught<UsageError>([&] { read_run_options(deck, "x.h5"); }).find(": expected "), std::string::npos)
        << wrong;
  }
}

TEST(run_options, other_lists_of_events_are_refused) {
  for (const char* wrong : {"[3]", "[1, 2, 3]", "[5, 3]", "[-1, 3]", "3", "\"all\"", "[1.5, 2]"}) {
    const std::string message = caught<UsageError>([&] { read(wrong); });
    EXPECT_TRUE(message.starts_with(std::string("--set record.events=") + wrong + ": ")) << message;
    EXPECT_NE(message.find("expected"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace partita::driver::run_options_tests
