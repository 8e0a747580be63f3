// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/parallel/server/virtual/event_queue.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::event_queue_tests {
namespace {

using partita::testing::caught;

TEST(event_queue, events_of_one_time_come_in_the_order_in_which_they_were_made) {
  // A few times only, so that there are many ties; the oracle is a stable sort.
  std::vector<std::pair<double, int>> made;
  EventQueue<int> queue;
  for (int i = 0; i < 5000; ++i) {
    made.emplace_back(static_cast<double>(random_bits(1, Stream::test, static_cast<std::uint64_t>(i)) % 7), i);
    queue.push(made.back().first, i);
  }
  std::stable_sort(made.begin(), made.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [time_s, event] : made) {
    ASSERT_FALSE(queue.empty());
    const auto next = queue.pop();
    ASSERT_EQ(next.time_s, time_s);
    ASSERT_EQ(next.event, event);
    ASSERT_EQ(queue.now(), time_s);
  }
  EXPECT_TRUE(queue.empty());
}

TEST(event_queue, what_is_made_on_the_way_falls_into_place) {
  EventQueue<char> queue;
  queue.push(2, 'b');
  queue.push(1, 'a');
  EXPECT_EQ(queue.pop().event, 'a');
  queue.push(2, 'c');
  queue.push(1, 'd');  // now, and before all that is later
  EXPECT_EQ(queue.pop().event, 'd');
  EXPECT_EQ(queue.pop().event, 'b');
  EXPECT_EQ(queue.pop().event, 'c');
}

TEST(event_queue, events_may_be_such_as_cannot_be_copied) {
  EventQueue<std::unique_ptr<int>> queue;
  queue.push(1, std::make_unique<int>(1));
  queue.push(0, std::make_unique<int>(0));
  EXPECT_EQ(*queue.pop().event, 0);
  EXPECT_EQ(*queue.pop().event, 1);
}

TEST(event_queue, a_time_that_is_over_is_refused_and_so_is_none) {
  EventQueue<int> queue;
  EXPECT_EQ(caught<Error>([&] { queue.push(-1, 0); }), "EventQueue: an event at -1 s: expected 0 s or later");
  queue.push(1.5, 0);
  queue.pop();
  EXPECT_EQ(caught<Error>([&] { queue.push(1.25, 0); }), "EventQueue: an event at 1.25 s: expected 1.5 s or later");
  EXPECT_EQ(caught<Error>([&] { queue.push(std::numeric_limits<double>::quiet_NaN(), 0); }),
            "EventQueue: an event at nan s: expected 1.5 s or later");
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace partita::parallel::server::event_queue_tests
