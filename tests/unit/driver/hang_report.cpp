// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/driver/hang_report.hpp>

namespace partita::driver::hang_report_tests {
namespace {

using Ranks = std::vector<int>;
using Reports = std::vector<RankReport>;

RankReport computing(int rank, double silent_s = 3.1) {
  return {
      .rank = rank, .step = 17, .doing = {"a step"}, .phase = {"forward_linear"}, .silent_s = silent_s, .limit_s = 3};
}

RankReport waiting(int rank, int peer, const char* operation = "allreduce", index_t call = 35) {
  RankReport report = computing(rank);
  report.phase = {"exchange"};
  report.set({.operation = operation,
              .algorithm = "ring",
              .axis = "data",
              .call = call,
              .bytes = 4096,
              .peer = peer,
              .since_ns = 100'000'000},
             3'200'000'000);
  return report;
}

TEST(hang_report, who_does_not_answer_is_to_blame) {
  RankReport neighbour = waiting(2, 1);
  neighbour.heard_s = 3.1;
  const Judgement judgement = judge(Reports{neighbour, waiting(0, -1), computing(3)}, {}, 4);
  EXPECT_EQ(judgement.blamed, (Ranks{1}));
  EXPECT_EQ(judgement.reason, "no progress for 3 s after step 17, in exchange: rank 1 does not answer");
  EXPECT_EQ(judgement.lines,
            "rank 2: step 17, exchange, allreduce 35 (ring, axis data), 4096 bytes, waits for rank 1 since 3.1 s\n"
            "rank 0: step 17, exchange, allreduce 35 (ring, axis data), 4096 bytes, waits for the others since 3.1 s\n"
            "rank 3: step 17, forward_linear since 3.1 s, waits for nobody\n");
}

// Rank 2 is late, of rank 0 its neighbour has heard nothing either.
TEST(hang_report, who_is_late_with_its_answer_is_not_to_blame_where_another_is_silent) {
  RankReport neighbour = waiting(1, -1), other = waiting(3, -1);
  neighbour.heard_s = 3.1;
  other.heard_s = 0.4;
  EXPECT_EQ(judge(Reports{neighbour, other}, {}, 4).blamed, (Ranks{0}));
  EXPECT_EQ(judge(Reports{other}, {}, 4).blamed, (Ranks{0, 1, 2})) << "nobody knows better";
}

TEST(hang_report, who_sits_and_says_so_is_to_blame_before_one_that_is_late) {
  EXPECT_EQ(judge(Reports{waiting(0, -1), computing(1)}, {}, 3).blamed, (Ranks{1}));
  EXPECT_EQ(judge(Reports{waiting(0, -1), computing(1, 0.1)}, {}, 3).blamed, (Ranks{2})) << "rank 1 makes progress";
}

TEST(hang_report, who_has_left_owes_no_answer) {
  RankReport neighbour = computing(0);
  neighbour.heard_s = 3.1;
  EXPECT_EQ(judge(Reports{neighbour}, Ranks{1, 2}, 4).blamed, (Ranks{3}));
  EXPECT_EQ(judge(Reports{computing(0)}, Ranks{1, 2, 3}, 4).blamed, (Ranks{0}));
}

TEST(hang_report, who_waits_for_nobody_holds_the_others_up) {
  const Judgement judgement = judge(Reports{waiting(0, 1), computing(1), waiting(2, -1)}, {}, 3);
  EXPECT_EQ(judgement.blamed, (Ranks{1}));
  EXPECT_TRUE(judgement.reason.find("rank 1 waits for nobody and is in forward_linear of step 17 since 3.1 s") !=
              std::string::npos)
      << judgement.reason;
  // One that has just come out of its wait is not the one.
  EXPECT_EQ(judge(Reports{computing(0, 0.1), computing(1), waiting(2, -1)}, {}, 3).blamed, (Ranks{1}));
  EXPECT_EQ(judge(Reports{computing(0), computing(1), waiting(2, -1)}, {}, 3).blamed, (Ranks{0, 1}));
}

TEST(hang_report, who_waits_for_ranks_that_make_progress_does_not_hang) {
  RankReport moves = waiting(1, 2, "receive", -1), waits = waiting(0, 1, "receive", -1);
  moves.silent_s = 0.2;
  EXPECT_FALSE(judge(Reports{waits, moves, computing(2, 0.1)}, {}, 3).hangs);
  EXPECT_TRUE(judge(Reports{waits, moves}, {}, 3).hangs) << "rank 2 does not answer";
  EXPECT_TRUE(judge(Reports{waits, moves, computing(2)}, {}, 3).hangs) << "rank 2 computes for too long";
  EXPECT_TRUE(judge(Reports{waits, waiting(2, 0, "receive", -1), waiting(1, -1)}, {}, 3).hangs) << "nobody moves";
  EXPECT_TRUE(judge(Reports{waits, waiting(1, 0, "receive", -1), computing(2, 0.1)}, {}, 3).hangs) << "a circle";
}

TEST(hang_report, calls_that_do_not_match_are_told) {
  const Judgement behind = judge(Reports{waiting(0, -1), waiting(1, -1, "broadcast", 34), waiting(2, 1)}, {}, 3);
  EXPECT_EQ(behind.blamed, (Ranks{1}));
  EXPECT_TRUE(behind.reason.find("rank 1 is in broadcast 34 (ring, axis data), rank 0 in allreduce 35 (ring") !=
              std::string::npos)
      << behind.reason;
  const Judgement other = judge(Reports{waiting(0, -1), waiting(1, -1, "broadcast", 35)}, {}, 2);
  EXPECT_EQ(other.blamed, (Ranks{0}));
  EXPECT_TRUE(other.reason.find("rank 0 is in allreduce 35 (ring, axis data), rank 1 in broadcast 35") !=
              std::string::npos)
      << other.reason;
}

TEST(hang_report, ranks_that_wait_for_each_other_are_told) {
  const auto message = [](int rank, int peer) { return waiting(rank, peer, "receive", -1); };
  const Judgement judgement = judge(Reports{message(0, 2), message(3, 1), message(2, 3), message(1, 2)}, {}, 4);
  EXPECT_EQ(judgement.blamed, (Ranks{1, 2, 3}));
  EXPECT_TRUE(judgement.reason.find("ranks 1, 2, 3 wait for each other") != std::string::npos) << judgement.reason;
  EXPECT_TRUE(judgement.lines.find("rank 0: step 17, exchange, receive (ring, axis data), 4096 bytes, waits for") !=
              std::string::npos)
      << judgement.lines;
  const Judgement all = judge(Reports{waiting(0, -1), waiting(1, -1)}, {}, 2);
  EXPECT_EQ(all.blamed, Ranks{});
  EXPECT_TRUE(all.reason.find("all ranks wait") != std::string::npos) << all.reason;
}

TEST(hang_report, of_thousands_of_ranks_some_lines_are_printed) {
  Reports reports;
  for (int r = 0; r < 5000; ++r)
    if (r != 4000) reports.push_back(r == 4001 ? waiting(r, 4000) : waiting(r, -1));
  const Judgement judgement = judge(reports, {}, 5000);
  EXPECT_EQ(judgement.blamed, (Ranks{4000}));
  EXPECT_TRUE(judgement.lines.starts_with("rank 4001: ")) << "who waits for the one comes first";
  EXPECT_LE(std::count(judgement.lines.begin(), judgement.lines.end(), '\n'), 21);
  EXPECT_TRUE(judgement.lines.find("and 4979 more ranks, 4979 of which wait for others\n") != std::string::npos)
      << judgement.lines;
  // Nor are thousands of names.
  EXPECT_LE(judge(Reports{computing(0)}, {}, 5000).reason.size(), 200u);
}

TEST(hang_report, a_rank_alone_tells_of_itself) {
  const Judgement judgement = judge(Reports{computing(3)}, {}, 0);
  EXPECT_EQ(judgement.reason, "no progress for 3 s after step 17, in forward_linear");
}

TEST(hang_report, texts_that_are_too_long_are_cut) {
  EXPECT_EQ(std::string(ShortText(std::string(100, 'x')).text), std::string(39, 'x'));
}

}  // namespace
}  // namespace partita::driver::hang_report_tests
