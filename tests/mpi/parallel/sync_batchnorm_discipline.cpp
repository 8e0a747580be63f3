// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include "cnn_problem.hpp"

// A step with batch norms over all ranks' rows, once warm: it allocates nothing, fences only around its all-reduces,
// and every kernel has a label of ours.

namespace partita::parallel::test::sync_batchnorm_discipline_tests {
namespace {

using comm::Allreduce;
using partita::test::world;

class sync_batchnorm_discipline : public ::testing::TestWithParam<Allreduce> {
 protected:
  CnnReplica<float> replica{small_cnn(nn::CnnKind::resnet, nn::Recompute::block), world(), split_share(world(), 9, 2),
                            by_sgd(GetParam()), true};
  nn::Observer nobody;

  void SetUp() override {
    replica.fill(0);
    for (index_t s = 0; s < 2; ++s) replica.run(s, nobody);
  }
};

TEST_P(sync_batchnorm_discipline, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  partita::test::start_counting_allocations();
  replica.run(2, nobody);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(world(), count.ours() == 0) << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(sync_batchnorm_discipline, fences_around_the_allreduces_alone_and_labels_every_kernel) {
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, replica.context.exec());
    replica.run(2, nobody);
  }
  EXPECT_GE(seen.kernels, 100);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
  // 6 norms forward, 5 once more, 6 backward, of 2 micro-batches: before each all-reduce, and after each of its sums;
  // and those of the gradients, as in train_step.
  const int of_an_allreduce = 1 + 2 * world().size();
  EXPECT_LE(seen.fences, 6 + (world().size() == 1 ? 0 : 2 * (6 + 5 + 6) * of_an_allreduce));
}

INSTANTIATE_TEST_SUITE_P(by, sync_batchnorm_discipline,
                         ::testing::Values(Allreduce::mpi, Allreduce::ring, Allreduce::recursive),
                         [](const auto& at) { return std::string(comm::to_string(at.param)); });

}  // namespace
}  // namespace partita::parallel::test::sync_batchnorm_discipline_tests
