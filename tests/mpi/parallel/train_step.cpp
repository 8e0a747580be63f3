// SPDX-License-Identifier: BSD-3-Clause
#include <tuple>

#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

// A whole training step, as an app makes it: after warm-up it allocates nothing, fences only around the all-reduce, and
// every kernel has a label of ours.

namespace partita::parallel::test {
namespace {

using comm::Allreduce;

constexpr Kind mlp{"mlp", 25};

Options options(const std::tuple<Allreduce, bool>& of) {
  return {.allreduce = std::get<0>(of), .micro_batches = 2, .chunks = std::get<1>(of) ? 9 : 0};
}

class train_step : public ::testing::TestWithParam<std::tuple<Allreduce, bool>> {};

TEST_P(train_step, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  Replica<float> replica(mlp, partita::test::world(), options(GetParam()));
  nn::Observer nobody;
  replica.fill(0);
  replica.run(0, nobody);
  replica.run(1, nobody);
  partita::test::start_counting_allocations();
  replica.run(2, nobody);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(partita::test::world(), count.ours() == 0)
      << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(train_step, fences_around_the_allreduce_alone_and_labels_every_kernel) {
  Replica<float> replica(mlp, partita::test::world(), options(GetParam()));
  nn::Observer nobody;
  replica.fill(0);
  replica.run(0, nobody);
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, replica.context.exec());
    replica.run(1, nobody);
  }
  EXPECT_GE(seen.kernels, 9);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
  EXPECT_LE(seen.fences, 6);  // one before the barrier that separates waiting, those of the collective
}

INSTANTIATE_TEST_SUITE_P(by, train_step,
                         ::testing::Combine(::testing::Values(Allreduce::mpi, Allreduce::ring), ::testing::Bool()),
                         [](const auto& at) {
                           return std::string(comm::to_string(std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_deterministic" : "_fast");
                         });

}  // namespace
}  // namespace partita::parallel::test
