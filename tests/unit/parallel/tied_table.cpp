// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/deadlock.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/schedules.hpp>
#include <partita/parallel/pipeline/tied_table.hpp>

#include <support/caught.hpp>

namespace partita::parallel::tied_table_tests {
namespace {

using partita::testing::caught;

double end(const InOrder& run) { return *std::ranges::max_element(run.end); }

TEST(tied_table, as_few_gradients_are_aside_as_hold_nobody_up) {
  for (const auto& [name, schedule] : schedules)
    for (const int p : {2, 3, 4})
      for (const index_t m : {1, 3, 4, 7, 12}) {
        const bool several = schedule == Schedule::interleaved || schedule == Schedule::zb_v;
        const PipelineShape shape{p, several ? 2 : 1, m};
        const std::vector<nn::Actions> actions = make_schedule(schedule, shape);
        const index_t aside = tied_aside(actions, shape.stages());
        const double soonest = end(run_with_buffers(actions, tied_needs(shape.stages(), m)));
        EXPECT_LE(aside, m);
        const auto is_enough = [&](index_t n) {
          const InOrder run = run_with_buffers(actions, tied_needs(shape.stages(), n));
          return run.stuck.empty() && end(run) == soonest;
        };
        EXPECT_TRUE(is_enough(aside)) << name << ' ' << p << ' ' << m;
        for (index_t less = 1; less < aside; ++less) EXPECT_FALSE(is_enough(less)) << name << ' ' << p << ' ' << m;
      }
}

TEST(tied_table, the_order_of_an_owners_passes_is_checked) {
  const auto both = [](std::string_view csv) { return caught<UsageError>([&] { tied_aside(read_csv(csv, "x"), 2); }); };
  EXPECT_EQ(both("0F0,1F0,1I0,1W0,0I0,0W0\n"), "nothing was thrown");
  EXPECT_EQ(
      both("0F0,1F0,1I0,0I0,0W0,1W0\n"),
      "schedule: rank 0 stands before 0W0, which waits for the end of stage 1 for micro-batch 0: expected an order "
      "that ends with rendezvous sends and bounded buffers");
}

TEST(tied_table, buffers_are_those_of_what_travels) {
  const std::vector<nn::Actions> two = make_schedule(Schedule::one_f_one_b, {2, 1, 3});
  const nn::Division fast = nn::divide(12, 1, 0, 3, 0), exact = nn::divide(12, 1, 0, 3, 12);
  const std::vector<int> apart = {0, 1}, there_and_back = {0, 1, 1, 0};
  EXPECT_EQ(tied_buffers(two, apart, 0, fast), 1);
  EXPECT_EQ(tied_buffers(two, apart, 1, fast), 1);
  EXPECT_EQ(tied_buffers(two, apart, 0, exact), 0);
  EXPECT_EQ(tied_buffers(two, apart, 1, exact), 4 * tied_aside(two, 2));  // 12 chunks in 3 micro-batches
  const std::vector<nn::Actions> v = make_schedule(Schedule::zb_v, {2, 2, 3});
  EXPECT_EQ(tied_buffers(v, there_and_back, 0, fast), 0);
  EXPECT_EQ(tied_buffers(v, there_and_back, 0, exact), 4 * tied_aside(v, 4));
  EXPECT_EQ(tied_buffers(v, there_and_back, 1, exact), 0);
}

}  // namespace
}  // namespace partita::parallel::tied_table_tests
