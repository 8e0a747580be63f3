// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include "spatial_problem.hpp"

// A step of images whose rows ranks share, once warm: it allocates nothing, fences only around what it sends, and every
// kernel has a label of ours.

namespace partita::parallel::test::spatial_discipline_tests {
namespace {

using partita::test::world;

struct Way {
  const char* name;
  nn::CnnKind kind;
  bool deterministic, overlap;
};

SpatialCase case_of(const Way& way) {
  SpatialCase of{.overlap = way.overlap, .options = by_sgd(comm::Allreduce::ring)};
  of.options.micro_batches = 2;
  if (way.deterministic) of.options.chunks = 4;
  return of;
}

class spatial_discipline : public ::testing::TestWithParam<Way> {
 protected:
  SpatialReplica<float> replica{world(), tall_cnn(GetParam().kind, 13, nn::Recompute::block), case_of(GetParam())};
  nn::Observer nobody;

  void SetUp() override {
    replica.replica.fill(0);
    for (index_t s = 0; s < 2; ++s) step(s);
  }
  void step(index_t s) {
    replica.rows.begin_step(true);
    replica.replica.run(s, nobody);
    replica.rows.end_step();
  }
};

TEST_P(spatial_discipline, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  partita::test::start_counting_allocations();
  step(2);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(world(), count.ours() == 0) << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(spatial_discipline, fences_around_messages_alone_and_labels_every_kernel) {
  partita::test::Observed seen;
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  {
    partita::test::KokkosObserver observer(seen, replica.replica.context.exec());
    step(2);
  }
  EXPECT_GE(seen.kernels, 100);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
  // Before a halo is sent; before each sum of other ranks' numbers, and after each of its parts.
  index_t allowed = 6, halos = 0;
  for (const comm::TrafficEntry& entry : traffic.entries()) {
    const bool halo = entry.operation == "halo";
    if (halo) halos += entry.calls;
    allowed += entry.calls * (halo ? 1 : 1 + 2 * world().size());
  }
  EXPECT_LE(seen.fences, allowed);
  EXPECT_EQ(halos >= 20, world().size() > 1);
}

INSTANTIATE_TEST_SUITE_P(way, spatial_discipline,
                         ::testing::Values(Way{"resnet", nn::CnnKind::resnet, false, true},
                                           Way{"vgg", nn::CnnKind::vgg, false, true},
                                           Way{"resnet_waits", nn::CnnKind::resnet, false, false},
                                           Way{"resnet_exact", nn::CnnKind::resnet, true, true},
                                           Way{"vgg_exact", nn::CnnKind::vgg, true, true}),
                         [](const auto& at) { return std::string(at.param.name); });

}  // namespace
}  // namespace partita::parallel::test::spatial_discipline_tests
