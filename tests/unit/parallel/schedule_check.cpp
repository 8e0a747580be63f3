// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_check.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

#include <support/caught.hpp>

namespace partita::parallel::schedule_check_tests {
namespace {

using partita::testing::caught;

std::string complaint(std::string_view csv, index_t micro_batches = 2) {
  return caught<UsageError>([&] { check_schedule(read_csv(csv, "plan.csv"), micro_batches, "plan.csv"); });
}

TEST(schedule_check, every_schedule_that_is_made_here_passes) {
  for (const auto& [name, schedule] : schedules)
    for (const int p : {1, 2, 3, 8})
      for (const index_t m : {1, 2, 5, 16, 64}) {
        const PipelineShape shape{p, schedule == Schedule::interleaved ? 3 : schedule == Schedule::zb_v ? 2 : 1, m};
        EXPECT_NO_THROW(check_schedule(make_schedule(schedule, shape), m, "x")) << name << " " << p << " " << m;
      }
}

TEST(schedule_check, halves_of_backward_may_be_one_or_two) {
  EXPECT_EQ(complaint("0F0,0F1,0B0,0I1,0W1\n"), "nothing was thrown");
}

TEST(schedule_check, stages_are_on_one_rank_each_and_all_there) {
  EXPECT_EQ(complaint("0F0,0B0,0F1,0B1\n2F0,2B0,2F1,2B1\n"),
            "plan.csv: stage 1 is missing, there is a stage 2: expected all stages from 0 on");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1\n1F0,1B0,1F1,0B1\n"),
            "plan.csv: stage 0 is on ranks 0 and 1: expected each stage on one rank");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1\n\n"),
            "plan.csv: rank 1 of 2 has no pass: expected a stage for each rank, which is a row");
}

TEST(schedule_check, every_micro_batch_has_its_passes) {
  EXPECT_EQ(complaint("0F0,0B0\n"),
            "plan.csv: stage 0 has no 0F1: expected forward and backward of micro-batches 0 to 1 on every stage");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1\n1F0,1B0,1F2,1B2\n", 3),
            "plan.csv: stage 0 has no 0F2: expected forward and backward of micro-batches 0 to 2 on every stage");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1\n1F1,1B1\n"),
            "plan.csv: stage 1 has no 1F0: expected forward and backward of micro-batches 0 to 1 on every stage");
  EXPECT_EQ(complaint("0F0,0F1,0F2,0B0,0B1,0B2\n"),
            "plan.csv: stage 0 has 0F2: expected forward and backward of micro-batches 0 to 1 on every stage");
  EXPECT_EQ(complaint("0F0,0F1\n"),
            "plan.csv: stage 0 has no backward: expected forward and backward of micro-batches 0 to 1 on every stage");
  EXPECT_EQ(complaint("0F0,0F1,0B0\n"),
            "plan.csv: actions: backward of micro-batch 1 on stage 0 is missing: expected one for every forward");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1\n1F0,1F1,1I0,1I1,1W0\n"),
            "plan.csv: actions: backward of micro-batch 1 on stage 1 is missing: expected one for every forward");
  EXPECT_EQ(complaint("0F0,0F1,0B0,0B1,0B1\n"),
            "plan.csv: actions: backward of micro-batch 1 on stage 0 is not next: expected it once, after forward");
}

TEST(schedule_check, passes_of_a_kind_are_in_ascending_order) {
  EXPECT_EQ(
      complaint("0F0,0F1,0B1,0B0\n"),
      "plan.csv: actions: backward of micro-batch 0 on stage 0 comes after a later one: expected ascending order");
  EXPECT_EQ(complaint("0F0,0B0,0F1,0B1\n1F1,1F0,1B0,1B1\n"),
            "plan.csv: 1F0 of stage 1 comes after 1F1: expected the micro-batches of a stage in ascending order");
  EXPECT_EQ(complaint("0F0,0F1,0I1,0I0,0W0,0W1\n"),
            "plan.csv: 0I0 of stage 0 comes after 0I1: expected the micro-batches of a stage in ascending order");
  EXPECT_EQ(complaint("0F0,0F1,0I1,0B0,0W1\n"),
            "plan.csv: 0B0 of stage 0 comes after 0I1: expected the micro-batches of a stage in ascending order");
}

TEST(schedule_check, a_schedule_says_where_stages_are) {
  const auto v = make_schedule(Schedule::zb_v, {3, 2, 5});
  EXPECT_EQ(ranks_of_stages(v), (std::vector<int>{0, 1, 2, 2, 1, 0}));
  EXPECT_EQ(stages_of_rank(v, 0), (std::vector<int>{0, 5}));
  EXPECT_EQ(stages_of_rank(make_schedule(Schedule::interleaved, {2, 3, 4}), 1), (std::vector<int>{1, 3, 5}));
}

}  // namespace
}  // namespace partita::parallel::schedule_check_tests
