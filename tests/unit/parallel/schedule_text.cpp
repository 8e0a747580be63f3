// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/parallel/pipeline/schedules.hpp>

#include <support/caught.hpp>

namespace partita::parallel::schedule_text_tests {
namespace {

using partita::testing::caught;

TEST(schedule_text, a_row_has_a_cell_for_each_unit_of_time) {
  EXPECT_EQ(to_csv(make_schedule(Schedule::one_f_one_b, {2, 1, 2})), "0F0,0F1,,,0B0,,,0B1,\n,1F0,1B0,,1F1,1B1,,,\n");
  EXPECT_EQ(to_csv(make_schedule(Schedule::zb_h1, {2, 1, 2})), "0F0,0F1,,0I0,0W0,0I1,0W1\n,1F0,1I0,1F1,1I1,1W0,1W1\n");
}

TEST(schedule_text, what_is_written_is_read) {
  for (const auto& [name, schedule] : schedules)
    for (const int p : {1, 2, 5}) {
      const int v = schedule == Schedule::interleaved ? 3 : schedule == Schedule::zb_v ? 2 : 1;
      const auto made = make_schedule(schedule, {p, v, 12});
      EXPECT_EQ(read_csv(to_csv(made), "x"), made) << name;
    }
}

TEST(schedule_text, cells_of_other_runtimes_and_blanks_are_passed_over) {
  const std::vector<nn::Actions> expected = {{{nn::Action::Kind::forward, 12, 3}, {nn::Action::Kind::backward, 12, 3}},
                                             {}};
  EXPECT_EQ(read_csv("12F3, ,\"12B3\",12REDUCE_GRAD\r\n,,\n", "x"), expected);
}

TEST(schedule_text, anything_else_is_refused_where_it_stands) {
  const std::string expected = ": expected cells of a stage, F, B, I or W and a micro-batch, as in 0F3";
  for (const char* word : {"F3", "0F", "0X1", "0F1x", "-1F0", "0F-1", "hello"})
    EXPECT_EQ(caught<UsageError>([&] { read_csv(std::string("0F0\n0B0,") + word, "plan.csv"); }),
              std::string("plan.csv:2: ") + word + expected);
  EXPECT_EQ(caught<UsageError>([] { read_csv("0F0,\x1b[31m" + std::string(900, 'x'), "plan.csv"); }),
            "plan.csv:1: ?[31m" + std::string(75, 'x') +
                "...: expected cells of a stage, F, B, I or W and a micro-batch, as in 0F3");
  EXPECT_EQ(caught<UsageError>([] { read_csv("", "plan.csv"); }),
            "plan.csv: no row: expected a row of cells for each rank");
}

TEST(schedule_text, a_picture_has_passes_at_their_times) {
  EXPECT_EQ(draw(make_schedule(Schedule::gpipe, {2, 1, 1})),
            "rank 0   |0F0 ............0B0     |\n"
            "rank 1   |....1F0 1B0     ........|\n");
}

}  // namespace
}  // namespace partita::parallel::schedule_text_tests
