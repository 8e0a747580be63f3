// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/communicator.hpp>

#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::comm::communicator_tests {
namespace {

using test::world;

std::vector<int> counting(int n, int first) {
  std::vector<int> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST(communicator, world_is_all_ranks) {
  EXPECT_EQ(world().name(), "world");
  EXPECT_GE(world().rank(), 0);
  EXPECT_LT(world().rank(), world().size());
  EXPECT_EQ(world().allreduce(1, Op::sum), world().size());
}

TEST(communicator, who_waits_at_a_barrier_may_do_something_meanwhile) {
  const bool last = world().is_root(world().size() - 1);
  if (last) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  int calls = 0;
  world().barrier([&] { ++calls; });
  EXPECT_TRUE(last || calls > 5) << calls;
}

TEST(communicator, broadcasts_from_any_root) {
  for (int root = 0; root < world().size(); ++root) {
    const bool mine = world().rank() == root;
    std::vector<int> values = mine ? counting(5, root) : std::vector<int>(5, -1);
    world().broadcast(std::span<int>(values), root);
    EXPECT_EQ(values, counting(5, root));

    std::string text =
        mine ? "a text with \n and \0 in it" + std::to_string(root) : "something longer, which must go away";
    world().broadcast(text, root);
    EXPECT_EQ(text, "a text with \n and \0 in it" + std::to_string(root));

    std::vector<double> list = mine ? std::vector<double>{0.5, 1.5, 2.5} : std::vector<double>{};
    world().broadcast(list, root);
    EXPECT_EQ(list, (std::vector<double>{0.5, 1.5, 2.5}));

    std::string empty = mine ? "" : "not empty";
    world().broadcast(empty, root);
    EXPECT_EQ(empty, "");
  }
}

TEST(communicator, gathers_lists_of_different_lengths) {
  const int P = world().size(), me = world().rank(), root = P - 1;
  // Rank r gives r values: rank 0 none.
  const std::vector<int> mine = counting(me, 10 * me);
  const std::vector<int> all = world().gather(std::span<const int>(mine), root);
  std::vector<int> expected;
  for (int r = 0; r < P; ++r)
    for (int i = 0; i < r; ++i) expected.push_back(10 * r + i);
  EXPECT_EQ(all, me == root ? expected : std::vector<int>{});
  EXPECT_EQ(world().allgather(std::span<const int>(mine)), expected);
}

TEST(communicator, gathers_one_value_and_texts) {
  const std::vector<double> all = world().allgather(0.5 * world().rank());
  ASSERT_EQ(static_cast<int>(all.size()), world().size());
  for (int r = 0; r < world().size(); ++r) EXPECT_EQ(all[static_cast<std::size_t>(r)], 0.5 * r);
  const std::vector<std::string> names = world().gather(std::string(static_cast<std::size_t>(world().rank()), 'x'));
  if (world().rank() != 0) {
    EXPECT_TRUE(names.empty());
  } else {
    for (int r = 0; r < world().size(); ++r)
      EXPECT_EQ(names[static_cast<std::size_t>(r)], std::string(static_cast<std::size_t>(r), 'x'));
  }
}

TEST(communicator, combines_scalars) {
  const int P = world().size(), me = world().rank();
  EXPECT_EQ(world().allreduce(std::int64_t{1} << 40, Op::sum), (std::int64_t{1} << 40) * P);
  EXPECT_EQ(world().allreduce(me, Op::max), P - 1);
  EXPECT_EQ(world().allreduce(static_cast<std::uint8_t>(me + 1), Op::min), 1);
  EXPECT_EQ(world().allreduce(0.25 * me, Op::max), 0.25 * (P - 1));
  EXPECT_EQ(world().allreduce(-1.5f, Op::sum), -1.5f * static_cast<float>(P));
  EXPECT_EQ(world().all_of(me != P - 1), false);
  EXPECT_EQ(world().all_of(true), true);
}

TEST(communicator, sends_around_a_ring) {
  const int P = world().size(), me = world().rank();
  if (P == 1) GTEST_SKIP() << "a rank does not send to itself";
  const std::vector<int> out = counting(3, me);
  std::vector<int> in(3, -1);
  if (me == 0) world().send(std::span<const int>(out), 1, 7);
  world().receive(std::span<int>(in), (me + P - 1) % P, 7);
  if (me != 0) world().send(std::span<const int>(out), (me + 1) % P, 7);
  EXPECT_EQ(in, counting(3, (me + P - 1) % P));
}

TEST(communicator, splits_and_keeps_the_order_of_keys) {
  const int P = world().size(), me = world().rank();
  const Communicator parity = world().split(me % 2, -me, "parity");  // keys turn the order round
  EXPECT_EQ(parity.name(), "parity");
  EXPECT_EQ(parity.size(), (P - me % 2 + 1) / 2);
  const std::vector<int> members = parity.allgather(me);
  for (std::size_t i = 1; i < members.size(); ++i) EXPECT_EQ(members[i], members[i - 1] - 2);
}

TEST(communicator, finds_the_ranks_of_a_node) {
  const Communicator node = world().split_by_node();
  EXPECT_EQ(node.name(), "node");
  EXPECT_EQ(node.size(), world().size());  // tests run on one host
}

TEST(communicator, moves_and_duplicates_without_mixing_messages) {
  Communicator first = world().duplicate("first");
  const Communicator second = std::move(first);
  EXPECT_EQ(second.name(), "first");
  EXPECT_EQ(second.traffic(), world().traffic());
  const int me = world().rank();
  if (world().size() > 1 && me < 2) {
    // Same tag, same partner: the communicator alone tells which is which.
    std::vector<int> a{1}, b{2};
    if (me == 0) {
      world().send(std::span<const int>(a), 1, 3);
      second.send(std::span<const int>(b), 1, 3);
    } else {
      second.receive(std::span<int>(a), 0, 3);
      world().receive(std::span<int>(b), 0, 3);
      EXPECT_EQ(a[0], 2);
      EXPECT_EQ(b[0], 1);
    }
  }
  first = world().duplicate("again");
  EXPECT_EQ(first.allreduce(1, Op::sum), world().size());
}

TEST(communicator, gives_the_value_of_root_to_all) {
  int calls = 0;
  const auto text = world().on_root([&] { return ++calls, std::string("read by root"); }, world().size() - 1);
  EXPECT_EQ(text, "read by root");
  EXPECT_EQ(world().on_root([] { return std::vector<int>{1, 2}; }), (std::vector<int>{1, 2}));
  EXPECT_EQ(world().allreduce(calls, Op::sum), 1);
  world().on_root([&] { ++calls; });
  EXPECT_EQ(world().allreduce(calls, Op::sum), 2);
}

TEST(communicator, throws_on_all_ranks_what_root_threw) {
  const auto fail = [] { throw UsageError("data.path: no such folder"); };
  std::string message;
  try {
    world().on_root(fail);
  } catch (const UsageError& error) {
    message = error.what();
  }
  EXPECT_ALL(world(), message == "data.path: no such folder");
  ExitCode code = ExitCode::done;
  try {
    world().on_root([]() -> int { throw std::bad_alloc(); });
  } catch (const Error& error) {
    code = error.code();
  } catch (const std::bad_alloc&) {
    code = ExitCode::unfit;
  }
  EXPECT_ALL(world(), code == ExitCode::unfit);
}

TEST(communicator, reports_mpi_errors_as_exceptions) {
  std::vector<int> one(1);
  std::string message;
  try {
    world().broadcast(std::span<int>(one), world().size());
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_EQ(message.find("MPI_Bcast on axis world: "), 0u) << message;
}

}  // namespace
}  // namespace partita::comm::communicator_tests
