// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/mailbox.hpp>
#include <partita/core/clock.hpp>
#include <partita/driver/watchdog.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::driver::watchdog_ranks_tests {
namespace {

using test::environment;
using test::world;
using Ranks = std::vector<int>;

enum class Does { beats, waits, computes, is_stopped, leaves };

struct Heard {
  int by = -1;  // rank that spoke; -1: nobody within the time
  Judgement judgement = {};
};

// Every rank does as it is told until one of them speaks, or `most_s` are over.
Heard watch(double limit_s, Does mine, double most_s = 1e9) {
  comm::WatchLine& line = environment().watch_line();
  comm::WaitBoard& waits = environment().traffic().waits();
  comm::Mailbox mail(world());
  constexpr int tag = 77;
  std::atomic<bool> ended{false};
  Heard heard;
  std::optional<Watchdog> watchdog;
  if (mine == Does::is_stopped)
    line.next_user();  // whose threads say nothing at all
  else
    watchdog.emplace(&line, waits, limit_s, [&](const Judgement& judgement) {
      heard = {world().rank(), judgement};
      ended = true;
    });
  if (watchdog) watchdog->beat(3, "a test");
  if (mine == Does::leaves) watchdog.reset();
  {
    std::optional<comm::Waiting> waiting;
    if (mine == Does::waits) waiting.emplace(&waits, comm::Wait{.operation = "barrier", .axis = "world", .call = 4});
    const std::int64_t start = now_ns();
    int note = 0;
    std::vector<double> nothing;
    for (index_t step = 4; seconds(now_ns() - start) < most_s; ++step) {
      if (ended)
        for (int to = 0; to < world().size(); ++to) mail.send(1, to, tag);
      if (ended || mail.take(tag, note, nothing)) break;
      if (mine == Does::beats) watchdog->beat(step, "a test");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  world().barrier([] {});
  for (bool found = true; found || mail.under_way() > 0;) {
    int note = 0;
    std::vector<double> nothing;
    found = mail.take(tag, note, nothing).has_value();
  }
  watchdog.reset();
  const std::vector<int> spoke = world().allgather(heard.by);
  for (const int rank : spoke) heard.by = std::max(heard.by, rank);
  const auto tell = [&](auto& value) {
    if (heard.by >= 0) world().broadcast(value, heard.by);
  };
  tell(heard.judgement.blamed);
  tell(heard.judgement.reason);
  tell(heard.judgement.lines);
  return heard;
}

bool can_talk() { return environment().watch_line().open(); }

TEST(watchdog_ranks, a_rank_whose_process_was_stopped_is_named) {
  if (!can_talk()) GTEST_SKIP() << "there is nobody else";
  for (const int stopped : {world().size() - 1, 0}) {
    // Nobody waits for it: its silence is enough.
    for (const Does others : {Does::beats, Does::waits}) {
      const Heard heard = watch(1, world().rank() == stopped ? Does::is_stopped : others);
      EXPECT_EQ(heard.judgement.blamed, Ranks{stopped}) << heard.judgement.reason;
      EXPECT_EQ(heard.by, stopped == 0 ? 1 : 0);
      EXPECT_TRUE(heard.judgement.reason.ends_with("rank " + std::to_string(stopped) + " does not answer"))
          << heard.judgement.reason;
    }
  }
}

TEST(watchdog_ranks, a_rank_that_computes_forever_is_named_by_those_that_wait) {
  if (!can_talk()) GTEST_SKIP() << "there is nobody else";
  for (const int busy : {world().size() - 1, 0}) {
    const Heard heard = watch(1, world().rank() == busy ? Does::computes : Does::waits);
    EXPECT_EQ(heard.judgement.blamed, Ranks{busy}) << heard.judgement.reason;
    EXPECT_TRUE(heard.judgement.lines.starts_with("rank " + std::to_string(busy) + ": step 3, a test since "))
        << heard.judgement.lines;
    EXPECT_NE(heard.judgement.lines.find("barrier 4 (axis world), 0 bytes, waits for the others since"),
              std::string::npos)
        << heard.judgement.lines;
  }
}

TEST(watchdog_ranks, nobody_misses_a_rank_that_has_left) {
  const Does mine = world().rank() == world().size() - 1 ? Does::leaves : Does::beats;
  const Heard heard = watch(1, mine, 3);
  EXPECT_EQ(heard.by, -1) << heard.judgement.reason;
}

}  // namespace
}  // namespace partita::driver::watchdog_ranks_tests
