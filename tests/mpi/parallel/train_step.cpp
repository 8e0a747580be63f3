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
  Options options{.allreduce = std::get<0>(of)};
  options.micro_batches = 2;
  options.chunks = std::get<1>(of) ? 9 : 0;
  return options;
}

void expect_no_allocation(const Options& of) {
  Replica<float> replica(mlp, partita::test::world(), of);
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

class train_step : public ::testing::TestWithParam<std::tuple<Allreduce, bool>> {};

TEST_P(train_step, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  expect_no_allocation(options(GetParam()));
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

class train_step_of : public ::testing::TestWithParam<std::tuple<Strategy, bool>> {};

TEST_P(train_step_of, a_strategy_allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const auto [strategy, deterministic] = GetParam();
  for (const index_t bucket_bytes : {0, 256}) {
    Options of{.allreduce = Allreduce::ring, .strategy = strategy, .bucket_bytes = bucket_bytes};
    of.micro_batches = 2;
    of.chunks = deterministic ? 9 : 0;
    expect_no_allocation(of);
  }
}

INSTANTIATE_TEST_SUITE_P(by, train_step_of,
                         ::testing::Combine(::testing::Values(Strategy::allreduce, Strategy::gather_broadcast,
                                                              Strategy::zero1, Strategy::zero2, Strategy::zero3,
                                                              Strategy::local_sgd),
                                            ::testing::Bool()),
                         [](const auto& at) {
                           return std::string(name_of(strategies, std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_deterministic" : "_fast");
                         });

INSTANTIATE_TEST_SUITE_P(by, train_step,
                         ::testing::Combine(::testing::Values(Allreduce::mpi, Allreduce::ring), ::testing::Bool()),
                         [](const auto& at) {
                           return std::string(comm::to_string(std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_deterministic" : "_fast");
                         });

}  // namespace
}  // namespace partita::parallel::test
