// SPDX-License-Identifier: BSD-3-Clause
#include <tuple>

#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"
#include "tensor_problem.hpp"

// A whole training step, as an app makes it: after warm-up it allocates nothing, fences only around the all-reduce, and
// every kernel has a label of ours.

namespace partita::parallel::test::train_step_tests {
namespace {

using comm::Allreduce;

constexpr Kind mlp{"mlp", 25};

Options options(const std::tuple<Allreduce, bool>& of) {
  Options options{.allreduce = std::get<0>(of)};
  options.micro_batches = 2;
  options.chunks = std::get<1>(of) ? 9 : 0;
  return options;
}

template <class Run>
void expect_no_allocation_by(const Run& run) {
  run(0);
  run(1);
  partita::test::start_counting_allocations();
  run(2);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(partita::test::world(), count.ours() == 0)
      << count.ours() << " of ours, the last by " << count.last_of_ours;
}

void expect_no_allocation(const Options& of) {
  Replica<float> replica(mlp, partita::test::world(), of);
  nn::Observer nobody;
  replica.fill(0);
  expect_no_allocation_by([&](index_t s) { replica.run(s, nobody); });
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

class train_step_of_parts : public ::testing::TestWithParam<std::tuple<bool, bool, bool>> {
 protected:
  static Way way() {
    const auto [sequence, regather, deterministic] = GetParam();
    return {.tensor = {.how = Allreduce::ring,
                       .sequence = sequence,
                       .regather = sequence && regather,
                       .overlap_chunks = sequence || deterministic || !regather ? 1 : 3},
            .micro_batches = 2};
  }
  static index_t chunks() { return std::get<2>(GetParam()) ? 12 : 0; }
};

TEST_P(train_step_of_parts, allocate_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const comm::Communicator alone = partita::test::world().split(partita::test::world().rank(), 0, "alone");
  Split<float> split(decoder, alone, partita::test::world(), way(), chunks());
  nn::Observer nobody;
  split.inputs.fill(0);
  expect_no_allocation_by(
      [&](index_t s) { split.step.run(split.inputs.batch(), s, split.losses, split.norm, nobody); });
}

// Whatever is chosen in the end, all of it was made when it was measured.
TEST(train_step_in_parts, allocates_nothing_where_they_were_measured) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const comm::Communicator alone = partita::test::world().split(partita::test::world().rank(), 0, "alone");
  Split<float> split(decoder, alone, partita::test::world(), {.tensor = {.overlap_chunks = 0}, .micro_batches = 2}, 0);
  OverlapChoices& choices = split.axis.overlap();
  nn::Observer nobody;
  split.inputs.fill(0);
  choices.measure();
  expect_no_allocation_by([&](index_t s) {
    split.step.run(split.inputs.batch(), s, split.losses, split.norm, nobody);
    if (s == 2) return;  // counted
    if (s == 0) choices.agree(partita::test::world());
    const OverlapTiming next = s == 0 ? OverlapTiming{{1, 2, 3, 4}} : OverlapTiming{{4, 3, 2, 1}};  // one part, eight
    for (const auto& [product, timing] : OverlapTable(choices.timings())) choices.know(product, next);
  });
}

TEST_P(train_step_of_parts, label_every_kernel) {
  const comm::Communicator alone = partita::test::world().split(partita::test::world().rank(), 0, "alone");
  Split<float> split(decoder, alone, partita::test::world(), way(), chunks());
  nn::Observer nobody;
  split.inputs.fill(0);
  split.step.run(split.inputs.batch(), 0, split.losses, split.norm, nobody);
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, split.context.exec());
    split.step.run(split.inputs.batch(), 1, split.losses, split.norm, nobody);
  }
  EXPECT_GE(seen.kernels, 50);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
}

std::string form_of_parts(const ::testing::TestParamInfo<std::tuple<bool, bool, bool>>& at) {
  const auto [sequence, second, deterministic] = at.param;
  return std::string(sequence ? "sequence" : "tensor") +
         (!second    ? ""
          : sequence ? "_regathered"
                     : "_in_chunks") +
         (deterministic ? "_deterministic" : "_fast");
}

INSTANTIATE_TEST_SUITE_P(by, train_step_of_parts,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(), ::testing::Bool()), form_of_parts);

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
}  // namespace partita::parallel::test::train_step_tests
