// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/deadlock.hpp>
#include <partita/parallel/pipeline/replay.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

#include <support/caught.hpp>

namespace partita::parallel::deadlock_tests {
namespace {

using partita::testing::caught;

std::string complaint(std::string_view csv) {
  return caught<UsageError>([&] { require_no_deadlock(read_csv(csv, "x")); });
}

TEST(deadlock, every_schedule_that_is_made_here_ends) {
  for (const auto& [name, schedule] : schedules)
    for (int v = 1; v <= 3; ++v) {
      if (schedule != Schedule::interleaved && v != (schedule == Schedule::zb_v ? 2 : 1)) continue;
      for (int p = 1; p <= 8; ++p)
        for (index_t m = 1; m <= 64; ++m)
          EXPECT_NO_THROW(require_no_deadlock(make_schedule(schedule, {p, v, m})))
              << name << " of " << p << " ranks, " << v << " stages each, " << m << " micro-batches";
    }
}

TEST(deadlock, a_cycle_of_data_is_refused) {
  EXPECT_EQ(complaint("0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n"),
            "schedule: rank 0 stands before 0B0, which waits for the input's gradient of stage 1 for micro-batch 0 "
            "from rank 1; rank 1 stands before 1F1, which waits for the output of stage 0 for micro-batch 1 from rank "
            "0: expected an order that ends with rendezvous sends and bounded buffers");
  EXPECT_EQ(complaint("0F0,0B0\n2F0,2B0\n"),
            "schedule: rank 0 stands before 0B0, which waits for the input's gradient of stage 1 for micro-batch 0, a "
            "stage that no rank has; rank 1 stands before 2F0, which waits for the output of stage 1 for micro-batch "
            "0, a stage that no rank has: expected an order that ends with rendezvous sends and bounded buffers");
}

// Two stages a rank: 2B4 may not begin before the receive of 2B2's gradient is posted, which is after 1B0, which rank 1
// does after 1F5, which needs what rank 0 does after 2B4.
TEST(deadlock, gradients_that_nobody_receives_yet_are_refused) {
  const char* const csv =
      "0F0,0F1,0F2,0F3,0F4,2F0,2F1,2F2,2F3,2F4,2B0,2B1,2B2,2B3,2B4,0F5,2F5,2B5,0B0,0B1,0B2,0B3,0B4,0B5\n"
      "1F0,1F1,1F2,1F3,1F4,3F0,3F1,3F2,3F3,3F4,3B0,3B1,3B2,3B3,3B4,1F5,1B0,3F5,3B5,1B1,1B2,1B3,1B4,1B5\n";
  EXPECT_NO_THROW(replay(read_csv(csv, "x")));
  EXPECT_EQ(complaint(csv),
            "schedule: rank 0 stands before 2B4, which waits for rank 1 to post its receive of the input's gradient of "
            "stage 2 for micro-batch 2; rank 1 stands before 1F5, which waits for the output of stage 0 for "
            "micro-batch 5 from rank 0: expected an order that ends with rendezvous sends and bounded buffers");
  const std::string one_less =
      "0F0,0F1,0F2,0F3,2F0,2F1,2F2,2F3,2B0,2B1,2B2,2B3,0F4,2F4,2B4,0B0,0B1,0B2,0B3,0B4\n"
      "1F0,1F1,1F2,1F3,3F0,3F1,3F2,3F3,3B0,3B1,3B2,3B3,1F4,1B0,3F4,3B4,1B1,1B2,1B3,1B4\n";
  EXPECT_EQ(complaint(one_less), "nothing was thrown");
}

// Of a stage that goes forward alone one output is kept, and two are received ahead.
TEST(deadlock, outputs_that_nobody_receives_yet_are_refused) {
  const char* const csv = "0F0,0F1,0F2,0F3,0F4,2F0,2F1,2F2,2F3,2F4\n1F0,3F0,1F1,3F1,1F2,3F2,1F3,3F3,1F4,3F4\n";
  EXPECT_NO_THROW(replay(read_csv(csv, "x")));
  EXPECT_EQ(complaint(csv),
            "schedule: rank 0 stands before 0F4, which waits for rank 1 to post its receive of the output of stage 0 "
            "for micro-batch 3; rank 1 stands before 3F0, which waits for the output of stage 2 for micro-batch 0 from "
            "rank 0: expected an order that ends with rendezvous sends and bounded buffers");
  EXPECT_EQ(complaint("0F0,0F1,0F2,0F3,2F0,2F1,2F2,2F3\n1F0,3F0,1F1,3F1,1F2,3F2,1F3,3F3\n"), "nothing was thrown");
}

TEST(deadlock, a_receive_that_a_rank_would_post_later_itself_is_refused) {
  EXPECT_EQ(complaint("0F0,0F1,0F2,0F3,0B0,0B1,0B2,0B3\n1F0,1F3,1B0,1F1,1B1,1F2,1B2,1B3\n"),
            "schedule: rank 0 stands before 0B0, which waits for the input's gradient of stage 1 for micro-batch 0 "
            "from rank 1; rank 1 stands before 1F3, which waits for rank 1 to post its receive of the output of stage "
            "0 for micro-batch 3: expected an order that ends with rendezvous sends and bounded buffers");
}

TEST(deadlock, between_stages_of_one_rank_nothing_waits_for_a_message) {
  EXPECT_EQ(complaint("0F0,0F1,0F2,0F3,0F4,0F5,1F0,1F1,1F2,1F3,1F4,1F5,1B0,1B1,1B2,1B3,1B4,1B5,"
                      "0B0,0B1,0B2,0B3,0B4,0B5\n"),
            "nothing was thrown");
}

TEST(deadlock, a_list_that_cannot_run_at_all_is_refused) {
  EXPECT_EQ(complaint("0F0,0F0\n"),
            "actions: forward of micro-batch 0 on stage 0 was done before: expected every pass once");
}

}  // namespace
}  // namespace partita::parallel::deadlock_tests
