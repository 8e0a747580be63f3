// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/idle_split.hpp>

#include <support/caught.hpp>

namespace partita::parallel::idle_split_tests {
namespace {

using partita::testing::caught;

void expect_split(const IdleSplit& found, const IdleSplit& expected) {
  EXPECT_EQ(found.fill_s, expected.fill_s);
  EXPECT_EQ(found.steady_idle_s, expected.steady_idle_s);
  EXPECT_EQ(found.wait_s, expected.wait_s);
  EXPECT_EQ(found.drain_s, expected.drain_s);
  EXPECT_EQ(found.busy_s, expected.busy_s);
  EXPECT_EQ(found.step_s, expected.step_s);
}

// 1F1B of two ranks and two micro-batches, forward 1 s and backward 2 s: on a free network rank 0 does F0 F1 B0 B1 from
// 0, 1, 4 and 7, rank 1 F0 B0 F1 B1 from 1, 2, 4 and 5, and the step ends at 9.
const std::vector<nn::Actions> schedule = make_schedule(Schedule::one_f_one_b, {2, 1, 2});

std::vector<MeasuredRank> on_a_free_network() {
  return {{{1, 1, 2, 2}, {0, 0, 2, 1}, 0, 0}, {{1, 2, 1, 2}, {1, 0, 0, 0}, 1, 2}};
}

TEST(idle_split, a_free_network_leaves_no_waiting) {
  const StepIdle found = split_idle(schedule, on_a_free_network(), true);
  expect_split(found.measured[0], {0, 3, 0, 0, 6, 9});
  expect_split(found.measured[1], {1, 0, 0, 2, 6, 9});
  EXPECT_EQ(found.replayed[0].middle, 3);
  EXPECT_EQ(found.replayed[1].fill, 1);
  EXPECT_EQ(found.replayed[1].drain, 2);
}

TEST(idle_split, messages_that_take_time_are_waiting) {
  // A message takes 1/4 s: rank 0 does B0 from 4.5 and B1 from 7.5, rank 1 F0 from 1.25; its F1 is there in time.
  std::vector<MeasuredRank> measured = on_a_free_network();
  measured[0].waited_s = {0, 0, 2.5, 1};
  measured[1].waited_s = {1.25, 0, 0, 0};
  measured[1].before_s = 1.25;
  measured[1].after_s = 2.25;
  const StepIdle found = split_idle(schedule, measured, true);
  expect_split(found.measured[0], {0, 3, 0.5, 0, 6, 9.5});
  expect_split(found.measured[1], {1.25, 0, 0, 2.25, 6, 9.5});
}

TEST(idle_split, what_comes_at_another_place_of_the_step_is_still_structure) {
  std::vector<MeasuredRank> measured = on_a_free_network();
  measured[0].waited_s = {0, 0, 0.5, 3};
  expect_split(split_idle(schedule, measured, true).measured[0], {0, 3, 0.5, 0, 6, 9.5});
  measured[0].waited_s = {0, 0, 0.5, 1};
  expect_split(split_idle(schedule, measured, true).measured[0], {0, 1.5, 0, 0, 6, 7.5});
}

TEST(idle_split, without_a_barrier_a_step_begins_where_the_rank_ended_the_last) {
  std::vector<MeasuredRank> measured = on_a_free_network();
  measured[1].before_s = 3;
  measured[1].after_s = 0;
  const StepIdle found = split_idle(schedule, measured, false);
  expect_split(found.measured[1], {3, 0, 0, 0, 6, 9});
  EXPECT_EQ(found.replayed[1].fill, 3);
  EXPECT_EQ(found.replayed[1].drain, 0);
}

TEST(idle_split, ranks_with_slow_stages_make_others_idle_by_structure) {
  // Rank 1 takes 3 s and 4 s: rank 0 does B0 from 8 to 10 and B1 from 15 to 17, rank 1 is busy from 1 to 15.
  const std::vector<MeasuredRank> measured = {{{1, 1, 2, 2}, {0, 0, 6, 5.5}, 0, 0.5},
                                              {{3, 4, 3, 4}, {1, 0, 0, 0}, 1, 3}};
  const StepIdle found = split_idle(schedule, measured, true);
  expect_split(found.measured[0], {0, 11, 0.5, 0.5, 6, 18});
  expect_split(found.measured[1], {1, 0, 0, 3, 14, 18});
}

TEST(idle_split, measurements_of_something_else_are_refused) {
  std::vector<MeasuredRank> measured = on_a_free_network();
  measured[1].waited_s.pop_back();
  EXPECT_EQ(caught<ShapeError>([&] { split_idle(schedule, measured, true); }),
            "split_idle: 3 waits of a rank, the schedule has 4: expected measurements of each");
  measured[1].action_s.pop_back();
  EXPECT_EQ(caught<ShapeError>([&] { split_idle(schedule, measured, true); }),
            "split_idle: 3 actions of a rank, the schedule has 4: expected measurements of each");
  measured.pop_back();
  EXPECT_EQ(caught<ShapeError>([&] { split_idle(schedule, measured, true); }),
            "split_idle: 1 ranks, the schedule has 2: expected measurements of each");
}

}  // namespace
}  // namespace partita::parallel::idle_split_tests
