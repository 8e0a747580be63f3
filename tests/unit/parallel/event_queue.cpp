// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/parallel/server/virtual/event_queue.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::event_queue_tests {
namespace {

// Against a stable sort, with many ties, and with events that are made while others are handled.
TEST(event_queue, events_come_by_time_and_else_in_the_order_in_which_they_were_made) {
  EventQueue<int> queue;
  std::vector<std::pair<double, int>> expected;
  const auto push = [&](double time) {
    const int number = static_cast<int>(expected.size());
    expected.emplace_back(time, number);
    queue.push(time, number);
  };
  const auto draw = [](int i) { return std::floor(20 * uniform(1, Stream::test, static_cast<std::uint64_t>(i))); };
  for (int i = 0; i < 500; ++i) push(draw(i));
  std::vector<std::pair<double, int>> seen;
  while (!queue.empty()) {
    const auto next = queue.pop();
    EXPECT_EQ(queue.now(), next.time_s);
    seen.emplace_back(next.time_s, next.event);
    if (seen.size() <= 300) push(next.time_s + draw(500 + static_cast<int>(seen.size())));  // 0: at the same time
  }
  std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  EXPECT_EQ(seen, expected);
}

TEST(event_queue, what_is_over_cannot_happen) {
  EventQueue<int> queue;
  queue.push(2, 1);
  queue.pop();
  queue.push(2, 2);
  EXPECT_EQ(testing::caught<Error>([&] { queue.push(1.5, 3); }),
            "EventQueue: an event at 1.5 s: expected 2 s or later");
  EXPECT_THROW(queue.push(std::nan(""), 3), Error);
  EXPECT_EQ(queue.pop().event, 2);
  EXPECT_TRUE(queue.empty());
}

TEST(event_queue, events_may_be_moved_alone) {
  EventQueue<std::unique_ptr<int>> queue;
  for (const int i : {3, 1, 2}) queue.push(i, std::make_unique<int>(i));
  for (const int i : {1, 2, 3}) EXPECT_EQ(*queue.pop().event, i);
}

}  // namespace
}  // namespace partita::parallel::server::event_queue_tests
