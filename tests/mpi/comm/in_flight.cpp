// SPDX-License-Identifier: BSD-3-Clause
// Several plans under way on one communicator, helped on in another order on every rank; and plans that are left alone.
#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

#include <gtest/gtest.h>

#include "cases.hpp"
#include "support/mpi.hpp"

namespace partita::comm::in_flight_tests {
namespace {

using test::Case;
using test::Cases;
using test::Running;
using test::world;

/// All collectives at a small and a longer size at once.
template <class S>
std::vector<std::unique_ptr<Running<S>>> many(const Communicator& comm) {
  std::vector<std::unique_ptr<Running<S>>> running;
  for (const index_t n : {57, 9'001})
    for (const Case<S>& c :
         Cases<S>(comm, {Segments(n, comm.size()), 0, {.chunk_bytes = 256, .most_chunks = 20}}).all())
      running.push_back(std::make_unique<Running<S>>(comm, c));
  return running;
}

class in_flight : public ::testing::TestWithParam<bool> {};

TEST_P(in_flight, all_at_once_are_all_right) {
  const Communicator comm = Communicator::borrow(world().handle(), "data", nullptr, GetParam());
  const auto running = many<float>(comm);
  std::vector<std::size_t> order(running.size()), start(running.size());
  std::iota(start.begin(), start.end(), std::size_t{0});
  std::mt19937 of_all(3), of_mine(static_cast<unsigned>(comm.rank()));
  for (int round = 0; round < 3; ++round) {
    for (const auto& one : running) one->reset();
    std::shuffle(start.begin(), start.end(), of_all);  // the same on all ranks
    order = start;
    for (const std::size_t i : start) running[i]->start();
    for (int help = 0; help < 5; ++help) {
      std::shuffle(order.begin(), order.end(), of_mine);
      for (const std::size_t i : order) running[i]->plan().progress();
    }
    for (const std::size_t i : start) running[i]->plan().finish();
    for (const auto& one : running) EXPECT_EQ(one->wrong(), 0) << one->what().name << " " << one->what().output;
  }
}

TEST_P(in_flight, all_arrive_by_progress_alone) {
  const Communicator comm = Communicator::borrow(world().handle(), "data", nullptr, GetParam());
  const auto running = many<double>(comm);
  for (const auto& one : running) one->start();
  for (bool all = false; !all;) {
    all = true;
    for (auto one = running.rbegin(); one != running.rend(); ++one) all = (*one)->plan().progress() && all;
  }
  for (const auto& one : running) {
    one->plan().finish();
    EXPECT_EQ(one->wrong(), 0) << one->what().name << " " << one->what().output;
  }
}

INSTANTIATE_TEST_SUITE_P(memory, in_flight, ::testing::Bool(),
                         [](const auto& it) { return std::string(it.param ? "direct" : "staged"); });

/// What was posted when an exception came by is taken back: a message that comes late changes nothing.
TEST(in_flight_when_it_goes, writes_nothing_any_more) {
  const int P = world().size(), me = world().rank();
  if (P == 1) GTEST_SKIP() << "nobody sends anything";
  const Communicator comm = world().duplicate("abandoned");  // not used again
  const Vector<float> x("partita::test::x", 1000);
  Kokkos::deep_copy(x, static_cast<float>(me));
  if (me == P - 1) {
    try {
      TransferPlan<float> plan(comm, 1000, 0, P - 1);
      plan.start(Exec(), x);
      throw std::runtime_error("as asked");
    } catch (const std::runtime_error&) {
    }
    comm.barrier();
  } else {
    comm.barrier();
    TransferPlan<float> plan(comm, 1000, 0, P - 1);
    if (me == 0) {
      plan.start(Exec(), x);
      plan.progress();
    }
  }
  comm.barrier();
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
  for (index_t i = 0; i < 1000; ++i) ASSERT_EQ(host(i), static_cast<float>(me));
}

}  // namespace
}  // namespace partita::comm::in_flight_tests
