// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <deque>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/bounded_queue.hpp>

#include <support/caught.hpp>

namespace partita::data::bounded_queue_tests {
namespace {

using namespace partita;
using namespace partita::data;
using partita::testing::caught;

constexpr double long_s = 60;  // no test waits for so long unless it fails

TEST(bounded_queue, places_follow_each_other_round_the_ring) {
  BoundedQueue queue(6);
  const std::stop_token go_on;
  std::deque<index_t> model;  // the places that lie there, oldest first
  index_t next = 0;
  for (int turn = 0; turn < 20; ++turn) {
    while (queue.room() >= 0) {
      EXPECT_EQ(queue.wait_for_room(go_on), next);
      model.push_back(next);
      next = (next + 1) % 6;
      queue.push();
    }
    EXPECT_EQ(model.size(), 6u);
    const index_t rows = 1 + turn % 6;
    EXPECT_EQ(queue.wait(rows, long_s), 6);
    EXPECT_EQ(queue.front(), model.front());
    queue.pop(rows);
    model.erase(model.begin(), model.begin() + rows);
  }
}

TEST(bounded_queue, counts_are_exact) {
  BoundedQueue queue(4);
  for (int i = 0; i < 7; ++i) queue.room() < 0 ? queue.drop() : queue.push();
  queue.pop(3);  // of 4
  for (int i = 0; i < 5; ++i) queue.room() < 0 ? queue.drop() : queue.push();
  queue.pop(1);  // of 4
  queue.pop(2);  // of 3
  const QueueCounts counts = queue.counts();
  EXPECT_EQ(counts.delivered, 6);
  EXPECT_EQ(counts.dropped, 3 + 2);
  EXPECT_EQ(counts.takes, 3);
  EXPECT_EQ(counts.fill_sum, 4 + 4 + 3);
  EXPECT_EQ(counts.least_fill, 3);
  EXPECT_EQ(counts.starved_s, 0) << "nobody waited";
  queue.forget_counts();
  queue.pop(1);
  EXPECT_EQ(queue.counts().delivered, 1);
  EXPECT_EQ(queue.counts().dropped, 0);
  EXPECT_EQ(queue.counts().least_fill, 1);
}

TEST(bounded_queue, waiting_for_rows_ends_with_time_and_is_counted) {
  BoundedQueue queue(4);
  queue.push();
  EXPECT_EQ(queue.wait(2, 0.02), 1);
  EXPECT_GE(queue.counts().starved_s, 0.019);
  EXPECT_EQ(queue.wait(1, long_s), 1) << "at once";
}

// Every row arrives once, in order, however the two threads meet; the queue never holds more than its capacity.
TEST(bounded_queue, two_threads_pass_rows_on_in_order) {
  for (const index_t rows : {1, 3, 5}) {
    constexpr index_t capacity = 15, all = 30000;
    BoundedQueue queue(capacity);
    std::vector<index_t> ring(capacity, -1);
    std::jthread reader([&](const std::stop_token& stop) {
      for (index_t i = 0; i < all; ++i) {
        const index_t place = queue.wait_for_room(stop);
        if (place < 0) return;
        ring[static_cast<std::size_t>(place)] = i;
        queue.push();
      }
    });
    for (index_t i = 0; i < all; i += rows) {
      const index_t lie = queue.wait(rows, long_s);
      ASSERT_GE(lie, rows);
      ASSERT_LE(lie, capacity);
      for (index_t r = 0; r < rows; ++r) ASSERT_EQ(ring[static_cast<std::size_t>(queue.front() + r)], i + r);
      queue.pop(rows);
    }
    EXPECT_EQ(queue.counts().delivered, all);
  }
}

TEST(bounded_queue, a_reader_that_waits_for_room_can_be_stopped) {
  BoundedQueue queue(1);
  queue.push();
  std::atomic<index_t> place{7};
  {
    std::jthread reader([&](const std::stop_token& stop) { place = queue.wait_for_room(stop); });
    while (!reader.joinable()) std::this_thread::yield();
  }  // asks to stop, and joins
  EXPECT_EQ(place, -1);
}

TEST(bounded_queue, a_failure_wakes_the_taker_and_leaves_it_what_lies_there) {
  BoundedQueue queue(4);
  std::jthread reader([&] {
    queue.push();
    queue.fail(std::make_exception_ptr(UsageError("x.bin: broken: expected whole")));
  });
  EXPECT_EQ(queue.wait(2, long_s), 1);
  ASSERT_NE(queue.failure(), nullptr);
  EXPECT_EQ(caught<UsageError>([&] { std::rethrow_exception(queue.failure()); }), "x.bin: broken: expected whole");
  queue.pop(1);
  EXPECT_EQ(queue.wait(1, long_s), 0) << "at once";
}

TEST(bounded_queue, a_nap_ends_when_asked) {
  std::atomic<bool> slept_through{true};
  {
    std::jthread sleeper([&](const std::stop_token& stop) { slept_through = Nap().sleep(stop, long_s); });
  }
  EXPECT_FALSE(slept_through);
  EXPECT_TRUE(Nap().sleep(std::stop_token(), 0.001));
}

TEST(bounded_queue, refuses_what_cannot_be) {
  EXPECT_EQ(caught<UsageError>([] { BoundedQueue queue(0); }),
            "BoundedQueue: a capacity of 0 rows: expected at least 1");
  BoundedQueue queue(4);
  queue.push();
  EXPECT_EQ(caught<ShapeError>([&] { queue.pop(2); }),
            "BoundedQueue: 2 rows are taken, 1 lie there: expected at most as many");
}

}  // namespace
}  // namespace partita::data::bounded_queue_tests
