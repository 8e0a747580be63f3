// SPDX-License-Identifier: BSD-3-Clause
// What Kokkos Tools see of a training step: a region around each moment with the name of its phase, and inside the
// exchange the collective.
#include <algorithm>
#include <array>
#include <string>

#include <gtest/gtest.h>

#include <partita/training/step_observer.hpp>

#include <support/mpi.hpp>
#include <support/region_log.hpp>
#include "problem.hpp"

namespace partita::parallel::test::step_regions_tests {
namespace {

using comm::Allreduce;

struct MomentCount final : nn::Observer {
  void before(const nn::Moment& moment, std::span<const Range>, const Exec&) override {
    ++of[static_cast<std::size_t>(moment.part)];
  }
  std::array<int, 9> of{};
};

class step_regions : public ::testing::TestWithParam<Allreduce> {};

TEST_P(step_regions, are_the_moments_by_the_names_of_their_phases) {
  const comm::Communicator& world = partita::test::world();
  Replica<float> replica({"mlp", 25}, world, {.allreduce = GetParam(), .micro_batches = 2});
  replica.fill(0);
  MomentCount moments;
  replica.run(0, moments);

  const training::StepPhases phases(replica.model);
  metrics::PhaseTimer timer(phases.phases());
  metrics::EventLog events;
  driver::Instruments instruments{timer, events};
  training::StepObserver observer(phases, instruments, 1);
  const partita::test::RegionLog log;
  timer.begin_step(replica.context.exec());
  replica.run(1, observer);
  timer.end_step(replica.context.exec());

  const auto regions = [&](const std::string& name) { return std::count(log.names.begin(), log.names.end(), name); };
  const auto counted = [&](nn::Part part) { return moments.of[static_cast<std::size_t>(part)]; };
  EXPECT_EQ(regions("partita::training::forward"), counted(nn::Part::forward));
  EXPECT_EQ(regions("partita::training::backward"),
            counted(nn::Part::backward_input) + counted(nn::Part::backward_weights));
  EXPECT_EQ(regions("partita::training::loss"), counted(nn::Part::loss));
  EXPECT_GE(regions("partita::training::forward"), 2 * 3);  // three layers, two micro-batches
  EXPECT_EQ(regions("partita::training::wait"), world.size() > 1 ? 1 : 0);
  EXPECT_EQ(regions("partita::training::exchange"), 1);
  EXPECT_EQ(regions("partita::training::update"), 1);
  EXPECT_EQ(regions("partita::comm::allreduce::" + std::string(comm::to_string(GetParam()))), 1);
  EXPECT_TRUE(
      std::all_of(log.names.begin(), log.names.end(), [](const auto& n) { return n.starts_with("partita::"); }));
  EXPECT_EQ(log.open, 0);
}

INSTANTIATE_TEST_SUITE_P(by, step_regions, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& it) { return std::string(comm::to_string(it.param)); });

}  // namespace
}  // namespace partita::parallel::test::step_regions_tests
