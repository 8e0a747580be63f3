// SPDX-License-Identifier: BSD-3-Clause
// Replays of several steps against the published closed forms, with and without a barrier. Times are small binary
// fractions, so that sums are exact.
#include <string>

#include <gtest/gtest.h>

#include <partita/parallel/pipeline/bubble.hpp>

namespace partita::parallel::bubble_tests {
namespace {

std::vector<RankIdle> replayed(Schedule schedule, const PipelineShape& shape, const PassTimes& times, bool barrier) {
  const auto made = make_schedule(schedule, shape);
  return replay_steps(made, action_times(made, times), barrier, 4);
}

std::string words(Schedule schedule, const PipelineShape& shape, const PassTimes& times, bool barrier) {
  return std::string(name_of(schedules, schedule)) + " of " + std::to_string(shape.ranks) + " ranks, " +
         std::to_string(shape.stages_of_a_rank) + " stages each, " + std::to_string(shape.micro_batches) +
         " micro-batches, F " + std::to_string(times.forward) + ", I " + std::to_string(times.backward_input) + ", W " +
         std::to_string(times.backward_weights) + (barrier ? ", barrier" : "");
}

const std::vector<PassTimes> ratios = {{1, 1, 1}, {3, 3, 3}, {2, 3, 1}, {3, 2, 2}, {1, 4, 0.5}, {4, 3, 2}, {1, 1, 3}};

// How many shapes had a closed form, so that none of them can get lost.
int compare(Schedule schedule, int stages_of_a_rank, bool barrier) {
  int compared = 0;
  for (int p = 2; p <= 8; ++p)
    for (const index_t m : {1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 24, 31, 64})
      for (const PassTimes& times : ratios) {
        const PipelineShape shape{p, stages_of_a_rank, m};
        const auto expected = bubble_closed_form(schedule, shape, times, barrier);
        if (!expected) continue;
        ++compared;
        for (const RankIdle& idle : replayed(schedule, shape, times, barrier))
          EXPECT_EQ(idle.sum(), *expected) << words(schedule, shape, times, barrier);
      }
  return compared;
}

TEST(bubble, steps_that_follow_each_other_stand_idle_as_the_closed_forms_say) {
  const int shapes = 7 * 14, of_p = 72, of_2p_1 = 54;  // those of at least p and 2p-1 micro-batches, counted by hand
  for (const bool barrier : {true, false}) {
    EXPECT_EQ(compare(Schedule::gpipe, 1, barrier), shapes * 7);
    EXPECT_EQ(compare(Schedule::one_f_one_b, 1, barrier), shapes * 7);
    EXPECT_EQ(compare(Schedule::interleaved, 2, barrier), of_p * 7);
    EXPECT_EQ(compare(Schedule::interleaved, 3, barrier), of_p * 7);
    EXPECT_EQ(compare(Schedule::zb_h1, 1, barrier), of_p * 6);
    EXPECT_EQ(compare(Schedule::zb_v, 2, barrier), of_2p_1 * 2);
  }
}

TEST(bubble, closed_forms_by_hand) {
  const auto form = [](Schedule schedule, const PipelineShape& shape, const PassTimes& times, bool barrier) {
    return bubble_closed_form(schedule, shape, times, barrier);
  };
  for (const bool barrier : {true, false}) {
    EXPECT_EQ(form(Schedule::gpipe, {4, 1, 1}, {2, 3, 1}, barrier), 18);
    EXPECT_EQ(form(Schedule::one_f_one_b, {4, 1, 1}, {2, 3, 1}, barrier), 18);
    EXPECT_EQ(form(Schedule::interleaved, {4, 3, 4}, {2, 3, 1}, barrier), 18);
    EXPECT_EQ(form(Schedule::zb_h1, {4, 1, 4}, {2, 3, 1}, barrier), 12);
    EXPECT_EQ(form(Schedule::interleaved, {4, 3, 3}, {2, 3, 1}, barrier), std::nullopt);
    EXPECT_EQ(form(Schedule::zb_h1, {4, 1, 3}, {2, 3, 1}, barrier), std::nullopt);
    EXPECT_EQ(form(Schedule::zb_h1, {4, 1, 4}, {1, 3, 2}, barrier), std::nullopt);
    EXPECT_EQ(form(Schedule::zb_v, {4, 2, 6}, {2, 2, 2}, barrier), std::nullopt);
    EXPECT_EQ(form(Schedule::zb_v, {4, 2, 7}, {2, 3, 1}, barrier), std::nullopt);
  }
  EXPECT_EQ(form(Schedule::zb_v, {4, 2, 7}, {2, 2, 2}, true), 6);
  EXPECT_EQ(form(Schedule::zb_v, {4, 2, 7}, {2, 2, 2}, false), 0);
}

// Where no closed form holds.
TEST(bubble, elsewhere_a_replay_says_it) {
  struct Case {
    Schedule schedule;
    PipelineShape shape;
    PassTimes times;
    double idle;
  };
  for (const auto& [schedule, shape, times, idle] :
       {Case{Schedule::interleaved, {2, 2, 1}, {1, 1, 1}, 6},  // by hand: one chain of 4 F and 4 B, half of it idle
        Case{Schedule::interleaved, {4, 2, 2}, {1, 1, 1}, 15}, Case{Schedule::interleaved, {4, 3, 3}, {2, 3, 1}, 30},
        Case{Schedule::zb_h1, {2, 1, 1}, {2, 3, 1}, 5},  // by hand: 2 F, 2 I, W of rank 0
        Case{Schedule::zb_h1, {4, 1, 2}, {1, 1, 1}, 5}, Case{Schedule::zb_h1, {2, 1, 4}, {1, 1, 3}, 1},
        Case{Schedule::zb_h1, {4, 1, 8}, {1, 3, 2}, 9},
        Case{Schedule::zb_v, {2, 2, 1}, {1, 1, 1}, 4},  // by hand: 4 F, 3I, 2I 2W, 1I, 0I 0W, of which rank 0 does 6
        Case{Schedule::zb_v, {4, 2, 4}, {1, 1, 1}, 6}, Case{Schedule::zb_v, {4, 2, 8}, {2, 3, 1}, 12}})
    for (const bool barrier : {true, false}) {
      EXPECT_FALSE(bubble_closed_form(schedule, shape, times, barrier).has_value());
      for (const RankIdle& each : replayed(schedule, shape, times, barrier))
        EXPECT_EQ(each.sum(), idle) << words(schedule, shape, times, barrier);
    }
}

TEST(bubble, idle_time_has_parts) {
  const auto together = replayed(Schedule::gpipe, {4, 1, 8}, {2, 3, 1}, true);
  const auto on_their_own = replayed(Schedule::gpipe, {4, 1, 8}, {2, 3, 1}, false);
  for (std::size_t rank = 0; rank < 4; ++rank) {
    const auto r = static_cast<double>(rank);
    EXPECT_EQ(together[rank].fill, 2 * r);
    EXPECT_EQ(together[rank].drain, 4 * r);
    EXPECT_EQ(together[rank].middle, 6 * (3 - r));
    EXPECT_EQ(on_their_own[rank].fill, 6 * r);
    EXPECT_EQ(on_their_own[rank].drain, 0);
    EXPECT_EQ(on_their_own[rank].middle, 6 * (3 - r));
  }
}

TEST(bubble, stages_may_take_times_of_their_own) {
  const std::vector<nn::Actions> schedule = make_schedule(Schedule::gpipe, {2, 1, 2});
  const ActionTimes times = {{1, 1, 2, 2}, {3, 3, 5, 5}};
  // By hand: rank 1 from 1 to 17, rank 0 goes back from 12 to 14 and from 17 to 19.
  const auto idle = replay_steps(schedule, times, true);
  EXPECT_EQ(idle[0].sum(), 19 - 6);
  EXPECT_EQ(idle[0].middle, 10 + 3);
  EXPECT_EQ(idle[1].fill, 1);
  EXPECT_EQ(idle[1].drain, 2);
}

}  // namespace
}  // namespace partita::parallel::bubble_tests
