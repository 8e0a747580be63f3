// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <partita/comm/waits.hpp>

namespace partita::comm::waits_tests {
namespace {

TEST(waits, the_inner_one_stands_on_the_board_and_then_the_outer_one_again) {
  WaitBoard board;
  EXPECT_EQ(board.look().operation, nullptr);
  {
    const Waiting outer(&board, {.operation = "allreduce", .axis = "data", .call = 7, .bytes = 64});
    const std::uint64_t before = board.changes();
    {
      const Waiting inner(&board, {.operation = "receive", .peer = 2, .since_ns = 5});
      EXPECT_EQ(std::string(board.look().operation), "receive");
      EXPECT_EQ(board.look().since_ns, 5);
    }
    EXPECT_GT(board.changes(), before);
    const Wait now = board.look();
    EXPECT_EQ(std::string(now.operation), "allreduce");
    EXPECT_EQ(std::string(now.axis), "data");
    EXPECT_EQ(now.call, 7);
    EXPECT_EQ(now.bytes, 64);
    EXPECT_GT(now.since_ns, 0) << "its time begins when it is put up";
  }
  EXPECT_EQ(board.look().operation, nullptr);
}

TEST(waits, turning_to_another_peer_is_a_change_and_to_the_same_is_none) {
  WaitBoard board;
  const Waiting waiting(&board, {.operation = "allreduce", .peer = 1});
  const std::uint64_t before = board.changes();
  board.turn_to(1);
  EXPECT_EQ(board.changes(), before);
  board.turn_to(3);
  EXPECT_NE(board.changes(), before);
  EXPECT_EQ(board.look().peer, 3);
}

TEST(waits, without_a_board_nothing_happens) { const Waiting waiting(nullptr, {.operation = "allreduce"}); }

TEST(waits, words_are_kept_once) {
  WaitBoard board;
  const char* const ring = board.keep(std::string("ri") + "ng");
  for (int k = 0; k < 100; ++k) board.keep("algorithm " + std::to_string(k));
  EXPECT_EQ(board.keep("ring"), ring);
  EXPECT_EQ(std::string(ring), "ring");
}

// The two waits differ in everything: no mixture of them is ever seen.
TEST(waits, another_thread_reads_whole_waits) {
  WaitBoard board;
  const Wait odd{.operation = "odd", .algorithm = "1", .axis = "1", .call = 1, .bytes = 1, .peer = 1, .since_ns = 1};
  const Wait even{.operation = "even", .algorithm = "2", .axis = "2", .call = 2, .bytes = 2, .peer = 2, .since_ns = 2};
  std::atomic<bool> over{false};
  std::atomic<int> seen{0};
  int torn = 0;
  std::thread reader([&] {
    while (!over) {
      const Wait now = board.look();
      if (now.operation == nullptr) continue;
      const bool is_odd = now.operation == odd.operation;
      const Wait& one = is_odd ? odd : even;
      torn += now.operation != one.operation || now.algorithm != one.algorithm || now.axis != one.axis ||
              now.call != one.call || now.bytes != one.bytes || now.peer != one.peer || now.since_ns != one.since_ns;
      ++seen;
    }
  });
  for (int k = 0; seen < 2000; ++k) board.put(k % 2 == 0 ? even : odd);
  over = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace partita::comm::waits_tests
