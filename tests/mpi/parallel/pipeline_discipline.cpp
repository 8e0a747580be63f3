// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/mlp.hpp>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include "pipeline_problem.hpp"

// A step of a pipeline, once warm: it allocates nothing, and every kernel has a label of ours.

namespace partita::parallel::test::pipeline_discipline_tests {
namespace {

using partita::test::world;

class pipeline_discipline : public ::testing::TestWithParam<Schedule> {
 protected:
  Options options{.micro_batches = 5};
  Stages<float> stages{nn::mlp_layers<float>(deep_mlp(), 1),
                       {1, 4},
                       6,
                       world(),
                       plan_of(GetParam(), world().size(), 5, deep_mlp_layers),
                       23,
                       options};
  nn::Observer nobody;

  void SetUp() override {
    stages.fill(0);
    for (index_t s = 0; s < 2; ++s) stages.run(s, nobody);
  }
};

TEST_P(pipeline_discipline, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  partita::test::start_counting_allocations();
  stages.run(2, nobody);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(world(), count.ours() == 0) << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(pipeline_discipline, labels_every_kernel) {
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, stages.context.exec());
    stages.run(2, nobody);
  }
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
}

INSTANTIATE_TEST_SUITE_P(by, pipeline_discipline, ::testing::Values(Schedule::one_f_one_b, Schedule::zb_v),
                         [](const auto& at) { return at.param == Schedule::zb_v ? "zb_v" : "one_f_one_b"; });

}  // namespace
}  // namespace partita::parallel::test::pipeline_discipline_tests
