// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/metrics/event_log.hpp>

#include <support/allocation_counter.hpp>

namespace partita::metrics::event_log_tests {
namespace {

using namespace partita;
using namespace partita::metrics;

TEST(event_log, wants_the_chosen_steps_and_no_other) {
  const EventLog log(3, 5, 1);
  EXPECT_FALSE(log.wants(2));
  EXPECT_TRUE(log.wants(3) && log.wants(4) && log.wants(5));
  EXPECT_FALSE(log.wants(6));
  EXPECT_FALSE(EventLog().wants(0));
}

TEST(event_log, what_finds_no_room_is_dropped_and_counted) {
  EventLog log(0, 9, 2);
  for (int i = 0; i < 5; ++i) log.add({.step = i});
  EXPECT_EQ(log.dropped(), 3);
  std::vector<Event> events = log.drain();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].step, 0);
  EXPECT_EQ(events[1].step, 1);
  log.add({.step = 7});  // there is room again
  events = log.drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].step, 7);
  EXPECT_EQ(log.dropped(), 3);
  EXPECT_TRUE(log.drain().empty());
}

TEST(event_log, adding_allocates_nothing) {
  if (!test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  EventLog log(0, 0, 100);
  log.add({});
  log.drain();  // keeps its memory
  test::start_counting_allocations();
  for (int i = 0; i < 200; ++i) log.add({.unit = i});
  EXPECT_EQ(test::stop_counting_allocations().ours(), 0u);
  EXPECT_EQ(log.dropped(), 100);
}

}  // namespace
}  // namespace partita::metrics::event_log_tests
