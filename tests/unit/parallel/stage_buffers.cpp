// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/parallel/pipeline/schedules.hpp>
#include <partita/parallel/pipeline/stage_buffers.hpp>

namespace partita::parallel::stage_buffers_tests {
namespace {

StageBuffers of_rank(Schedule schedule, int ranks, index_t micro_batches, int rank) {
  return stage_buffers(schedule_of_rank(schedule, {ranks, 1, micro_batches}, rank), rank, micro_batches);
}

TEST(stage_buffers, slots_are_the_live_forwards_and_receives_are_one_ahead) {
  EXPECT_EQ(of_rank(Schedule::gpipe, 4, 8, 0), (StageBuffers{8, 0, 8, 2, 2}));
  EXPECT_EQ(of_rank(Schedule::one_f_one_b, 4, 8, 0), (StageBuffers{4, 0, 5, 2, 2}));
  EXPECT_EQ(of_rank(Schedule::one_f_one_b, 4, 8, 3), (StageBuffers{1, 0, 2, 2, 2}));
}

TEST(stage_buffers, a_split_backward_keeps_gradients_as_long_as_weights_are_behind) {
  EXPECT_EQ(of_rank(Schedule::zb_h1, 4, 8, 0), (StageBuffers{4, 1, 5, 2, 2}));
  EXPECT_EQ(of_rank(Schedule::zb_h1, 4, 8, 3), (StageBuffers{4, 4, 5, 5, 2}));
}

TEST(stage_buffers, no_more_than_there_are_micro_batches) {
  EXPECT_EQ(of_rank(Schedule::one_f_one_b, 4, 1, 0), (StageBuffers{1, 0, 1, 1, 1}));
  EXPECT_EQ(of_rank(Schedule::zb_h1, 4, 2, 3), (StageBuffers{2, 2, 2, 2, 2}));
}

}  // namespace
}  // namespace partita::parallel::stage_buffers_tests
