// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/point_to_point.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::comm::waits_tests {
namespace {

using test::environment;
using test::world;

// What rank 0 of the world waits for (once it waits for one rank, if `for_one`) while all others come late: another
// thread of rank 0 sees it, and lets the others go on.
template <class Call>
Wait seen_by_rank_0(bool for_one, const Call& call) {
  WatchLine& line = environment().watch_line();
  Traffic& traffic = environment().traffic();
  const std::unique_ptr<Traffic, void (*)(Traffic*)> unchecked(&traffic, [](Traffic* all) { all->check_calls(true); });
  traffic.check_calls(false);  // who checks waits for the rank before it first
  Wait seen;
  if (world().rank() != 0) {
    for (int go = 0; !line.take(go);) std::this_thread::yield();
    call();
    return seen;
  }
  std::thread looks([&] {
    do seen = environment().traffic().waits().look();
    while (seen.operation == nullptr || (for_one && seen.peer < 0));
    for (int to = 1; to < line.size(); ++to) line.send(1, to);
  });
  call();
  looks.join();
  return seen;
}

// Ranks in the other order: who is 0 there is the last of the world.
Communicator turned() { return world().split(0, -world().rank(), "turned"); }

TEST(waits, a_message_names_its_peer_as_a_rank_of_the_world) {
  if (world().size() < 2 || !environment().watch_line().open()) GTEST_SKIP() << "nobody waits";
  const Communicator comm = turned();
  const int last = world().size() - 1;
  std::vector<double> values(3);
  const Wait seen = seen_by_rank_0(true, [&] {
    if (comm.rank() == last) comm.receive(std::span<double>(values), 0);
    if (comm.rank() == 0) comm.send(std::span<const double>(values), last);
  });
  if (world().rank() != 0) return;
  EXPECT_EQ(std::string(seen.operation), "receive");
  EXPECT_EQ(std::string(seen.axis), "turned");
  EXPECT_EQ(seen.peer, last);
  EXPECT_EQ(seen.bytes, 24);
  EXPECT_EQ(seen.call, -1);
  EXPECT_EQ(environment().traffic().waits().look().operation, nullptr) << "it is over";
}

TEST(waits, collectives_are_numbered_alike_on_all_ranks) {
  if (world().size() < 2 || !environment().watch_line().open()) GTEST_SKIP() << "nobody waits";
  const Communicator comm = turned();
  comm.barrier();
  comm.all_of(true);
  const Wait seen = seen_by_rank_0(false, [&] { comm.barrier(); });
  const std::vector<index_t> next = comm.gather(comm.begin_call({.operation = "gather"}));
  for (const index_t call : next) EXPECT_EQ(call, next.front());
  if (world().rank() != 0) return;
  EXPECT_EQ(std::string(seen.operation), "barrier");
  EXPECT_EQ(seen.call, 2);
  EXPECT_EQ(seen.peer, -1);
}

TEST(waits, a_plan_names_algorithm_bytes_and_the_neighbour_that_is_late) {
  if (world().size() < 2 || !environment().watch_line().open()) GTEST_SKIP() << "nobody waits";
  const Communicator comm = turned();
  const index_t n = 1200;
  AllreducePlan<float> plan(comm, Allreduce::ring, n);
  const Vector<float> values("values", n);
  const Wait seen = seen_by_rank_0(true, [&] { plan.run(Exec{}, values); });
  if (world().rank() != 0) return;
  EXPECT_EQ(std::string(seen.operation), "allreduce");
  EXPECT_EQ(std::string(seen.algorithm), "ring");
  EXPECT_EQ(seen.call, 0);
  EXPECT_GT(seen.bytes, 0);
  EXPECT_TRUE(seen.peer == 1 || seen.peer == world().size() - 1) << seen.peer << ": a ring has two neighbours";
}

}  // namespace
}  // namespace partita::comm::waits_tests
