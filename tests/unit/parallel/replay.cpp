// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/replay.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>

#include <support/caught.hpp>

namespace partita::parallel::replay_tests {
namespace {

using partita::testing::caught;

TEST(replay, ranks_begin_when_what_they_need_is_there) {
  const auto schedule = read_csv("0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n", "x");
  const Replay at = replay(schedule, {1, 2, 3});
  EXPECT_EQ(at.start[0], (std::vector<double>{0, 1, 7, 13}));
  EXPECT_EQ(at.start[1], (std::vector<double>{1, 2, 7, 8}));
  EXPECT_EQ(at.end, 18);
  EXPECT_EQ(at.idle(schedule, 0, {1, 2, 3}), 6);
}

TEST(replay, each_action_may_take_a_time_of_its_own_and_each_rank_begin_at_its_own) {
  const auto schedule = read_csv("0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n", "x");
  const Replay at = replay(schedule, ActionTimes{{1, 4, 2, 2}, {3, 2, 1, 5}}, {0, 2});
  EXPECT_EQ(at.start[0], (std::vector<double>{0, 1, 7, 13}));
  EXPECT_EQ(at.start[1], (std::vector<double>{2, 5, 7, 8}));
  EXPECT_EQ(at.ends, (std::vector<double>{15, 13}));
  EXPECT_EQ(replay(schedule, ActionTimes{{1, 4, 2, 2}, {3, 2, 1, 5}}).start[1], (std::vector<double>{1, 4, 6, 7}));
}

TEST(replay, an_input_gradient_goes_on_before_weights_are_done) {
  const Replay at = replay(read_csv("0F0,0I0,0W0\n1F0,1I0,1W0\n", "x"), {1, 2, 3});
  EXPECT_EQ(at.start[0], (std::vector<double>{0, 4, 6}));
  EXPECT_EQ(at.end, 9);
}

TEST(replay, who_waits_forever_is_named) {
  EXPECT_EQ(caught<UsageError>([] { replay(read_csv("0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n", "x")); }),
            "schedule: rank 0 stands before 0B0, which waits for the input's gradient of stage 1 for micro-batch 0; "
            "rank 1 stands before 1F1, which waits for the output of stage 0 for micro-batch 1: "
            "expected an order in which nobody waits forever");
  EXPECT_EQ(caught<UsageError>([] { replay(read_csv("0F0,0W0,0I0", "x")); }),
            "schedule: rank 0 stands before 0W0, which waits for the input's gradient of stage 0 for micro-batch 0: "
            "expected an order in which nobody waits forever");
}

TEST(replay, live_micro_batches_are_counted_to_either_end) {
  const auto one = read_csv("0F0,0F1,0I0,0F2,0I1,0W0,0W1,0I2,0W2", "x").front();
  EXPECT_EQ(peak_live(one), 3);
  EXPECT_EQ(peak_live(one, true), 2);
  EXPECT_EQ(peak_live(read_csv("0F0,0B0,0F1,0B1", "x").front()), 1);
}

}  // namespace
}  // namespace partita::parallel::replay_tests
