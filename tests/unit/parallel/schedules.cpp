// SPDX-License-Identifier: BSD-3-Clause
// Orders against what the papers print, and peaks and idle times against closed forms (DESIGN.md, section 10).
#include <algorithm>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

#include <support/caught.hpp>

namespace partita::parallel::schedules_tests {
namespace {

using nn::Actions;
using Kind = nn::Action::Kind;
using partita::testing::caught;

std::string words(Schedule schedule, const PipelineShape& shape, int rank) {
  std::string text;
  for (const nn::Action& action : schedule_of_rank(schedule, shape, rank)) text += cell(action) + " ";
  return text;
}

TEST(schedules, orders_are_those_of_the_papers) {
  EXPECT_EQ(words(Schedule::gpipe, {2, 1, 3}, 1), "1F0 1F1 1F2 1B0 1B1 1B2 ");
  EXPECT_EQ(words(Schedule::one_f_one_b, {4, 1, 4}, 0), "0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3 ");
  EXPECT_EQ(words(Schedule::one_f_one_b, {4, 1, 4}, 2), "2F0 2F1 2B0 2F2 2B1 2F3 2B2 2B3 ");
  EXPECT_EQ(words(Schedule::one_f_one_b, {4, 1, 2}, 0), "0F0 0F1 0B0 0B1 ");
  EXPECT_EQ(words(Schedule::interleaved, {2, 2, 2}, 0), "0F0 0F1 2F0 2F1 2B0 2B1 0B0 0B1 ");
  EXPECT_EQ(words(Schedule::interleaved, {2, 2, 2}, 1), "1F0 1F1 3F0 3B0 3F1 3B1 1B0 1B1 ");
  EXPECT_EQ(words(Schedule::zb_h1, {3, 1, 4}, 0), "0F0 0F1 0F2 0I0 0W0 0F3 0I1 0W1 0I2 0W2 0I3 0W3 ");
  EXPECT_EQ(words(Schedule::zb_h1, {3, 1, 4}, 2), "2F0 2I0 2F1 2I1 2F2 2I2 2W0 2F3 2I3 2W1 2W2 2W3 ");
  EXPECT_EQ(words(Schedule::zb_v, {2, 2, 3}, 0),
            "0F0 0F1 0F2 3F0 3I0 3W0 3F1 3I1 3W1 0I0 0W0 3F2 3I2 3W2 0I1 0W1 0I2 0W2 ");
  EXPECT_EQ(words(Schedule::zb_v, {2, 2, 3}, 1),
            "1F0 2F0 1F1 2F1 2I0 2W0 1F2 1I0 1W0 2F2 2I1 2W1 1I1 2I2 1I2 1W1 2W2 1W2 ");
}

struct Case {
  Schedule schedule;
  int stages_of_a_rank;
};
const std::vector<Case> cases = {{Schedule::gpipe, 1},       {Schedule::one_f_one_b, 1}, {Schedule::interleaved, 2},
                                 {Schedule::interleaved, 3}, {Schedule::zb_h1, 1},       {Schedule::zb_v, 2}};

template <class F>
void for_all_shapes(const F& f) {
  for (const Case& each : cases)
    for (int p = 1; p <= 8; ++p)
      for (const index_t m : {1, 2, 3, 5, 7, 8, 11, 15, 16, 24, 31, 64})
        f(each.schedule, PipelineShape{p, each.stages_of_a_rank, m},
          ::testing::Message() << name_of(schedules, each.schedule) << " of " << p << " ranks, "
                               << each.stages_of_a_rank << " stages each, " << m << " micro-batches");
}

TEST(schedules, every_pass_is_done_once_by_the_rank_that_has_the_stage) {
  for_all_shapes([](Schedule schedule, const PipelineShape& shape, const ::testing::Message& where) {
    SCOPED_TRACE(where);
    const bool split = schedule == Schedule::zb_h1 || schedule == Schedule::zb_v;
    for (int rank = 0; rank < shape.ranks; ++rank) {
      const Actions actions = schedule_of_rank(schedule, shape, rank);
      EXPECT_EQ(std::ssize(actions), shape.stages_of_a_rank * shape.micro_batches * (split ? 3 : 2));
      for (const nn::Action& action : actions) EXPECT_EQ(rank_of_stage(schedule, shape, action.stage), rank);
      for (int stage = 0; stage < shape.stages(); ++stage)
        EXPECT_NO_THROW(nn::peak(actions, stage));  // each once, in its order, gradients in ascending order
    }
  });
}

TEST(schedules, nobody_waits_forever) {
  for_all_shapes([](Schedule schedule, const PipelineShape& shape, const ::testing::Message& where) {
    EXPECT_NO_THROW(replay(make_schedule(schedule, shape))) << where;
  });
}

TEST(schedules, live_micro_batches_are_those_of_the_closed_forms) {
  for_all_shapes([](Schedule schedule, const PipelineShape& shape, const ::testing::Message& where) {
    const index_t m = shape.micro_batches, p = shape.ranks, v = shape.stages_of_a_rank;
    for (int r = 0; r < p; ++r) {
      const Actions actions = schedule_of_rank(schedule, shape, r);
      switch (schedule) {
        case Schedule::gpipe:
          EXPECT_EQ(peak_live(actions), m) << where;
          break;
        case Schedule::one_f_one_b:
          EXPECT_EQ(peak_live(actions), std::min(m, p - r)) << where;
          break;
        case Schedule::interleaved: {
          const index_t rounds = std::max<index_t>(1, m / p), q = (m + rounds - 1) / rounds;
          EXPECT_EQ(peak_live(actions), std::min(v * m, (v - 1) * q + 2 * (p - 1 - r) + 1)) << where << ", rank " << r;
          break;
        }
        case Schedule::zb_h1:
          EXPECT_EQ(peak_live(actions), std::min(m, p)) << where << ", rank " << r;
          break;
        case Schedule::zb_v:
          if (m >= 2 * p - 1) {
            EXPECT_EQ(peak_live(actions), 2 * p) << where << ", rank " << r;
          }
          break;
      }
    }
  });
}

TEST(schedules, idle_times_are_those_of_the_closed_forms) {
  for_all_shapes([](Schedule schedule, const PipelineShape& shape, const ::testing::Message& where) {
    const auto p = static_cast<double>(shape.ranks);
    const index_t m = shape.micro_batches;
    for (const PassTimes& t : {PassTimes{1, 1, 1}, PassTimes{2, 3, 1}, PassTimes{3, 2, 2}, PassTimes{1, 4, 0.5}}) {
      const auto all = make_schedule(schedule, shape);
      const double idle = replay(all, t).idle(all, 0, t), sum = t.forward + t.backward_input + t.backward_weights;
      const bool equal = t.forward == t.backward_input && t.forward == t.backward_weights;
      switch (schedule) {
        case Schedule::gpipe:
        case Schedule::one_f_one_b:
          EXPECT_NEAR(idle, (p - 1) * sum, 1e-9) << where;
          break;
        case Schedule::interleaved:
          if (m >= shape.ranks) {
            EXPECT_NEAR(idle, (p - 1) * sum, 1e-9) << where;
          }
          break;
        case Schedule::zb_h1:
          if (m >= shape.ranks && t.backward_weights <= std::min(t.forward, t.backward_input)) {
            EXPECT_NEAR(idle, (p - 1) * (t.forward + t.backward_input - t.backward_weights), 1e-9) << where;
          }
          break;
        case Schedule::zb_v:
          if (m >= 2 * shape.ranks - 1 && equal) {
            EXPECT_NEAR(idle, (p - 1) * t.forward, 1e-9) << where;
          }
          break;
      }
    }
  });
}

TEST(schedules, shapes_that_cannot_be_are_refused) {
  const auto complaint = [](Schedule schedule, const PipelineShape& shape) {
    return caught<UsageError>([&] { schedule_of_rank(schedule, shape, 0); });
  };
  EXPECT_EQ(complaint(Schedule::gpipe, {0, 1, 1}), "schedule: 0 ranks: expected at least 1");
  EXPECT_EQ(complaint(Schedule::gpipe, {1, 1, 0}), "schedule: 0 micro-batches: expected at least 1");
  EXPECT_EQ(complaint(Schedule::one_f_one_b, {2, 2, 4}), "schedule: 2 stages of a rank for 1f1b: expected 1");
  EXPECT_EQ(complaint(Schedule::zb_v, {2, 1, 4}), "schedule: 1 stages of a rank for zb-v: expected 2");
}

}  // namespace
}  // namespace partita::parallel::schedules_tests
