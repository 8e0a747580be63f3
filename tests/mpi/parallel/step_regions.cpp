// SPDX-License-Identifier: BSD-3-Clause
// What Kokkos Tools see of a training step: a region around each moment with the name of its phase, and inside the
// exchange the collective.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <partita/core/clock.hpp>
#include <partita/training/step_observer.hpp>

#include <support/mpi.hpp>
#include <support/region_log.hpp>
#include "problem.hpp"
#include "spatial_problem.hpp"

namespace partita::parallel::test::step_regions_tests {
namespace {

using comm::Allreduce;

struct MomentCount final : nn::Observer {
  void before(const nn::Moment& moment, std::span<const Range>, const Exec&) override {
    ++of[static_cast<std::size_t>(moment.part)];
  }
  std::array<int, 10> of{};
};

class step_regions : public ::testing::TestWithParam<Allreduce> {};

TEST_P(step_regions, are_the_moments_by_the_names_of_their_phases) {
  const comm::Communicator& world = partita::test::world();
  Replica<float> replica({"mlp", 25}, world, {.allreduce = GetParam(), .micro_batches = 2});
  replica.fill(0);
  MomentCount moments;
  replica.run(0, moments);

  const training::StepPhases phases(replica.model, replica.model);
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

// Halos are moments of the passes that they serve, and the collective's region is inside: where it starts, and where
// it is waited for.
TEST(step_regions_of_shared_images, have_halos_inside_forward_and_backward) {
  const comm::Communicator& world = partita::test::world();
  SpatialReplica<float> images(world, tall_cnn(nn::CnnKind::vgg, 13), {.options = by_sgd()});
  CnnReplica<float>& replica = images.replica;
  replica.fill(0);
  MomentCount moments;
  replica.run(0, moments);

  const training::StepPhases phases(replica.model, replica.model);
  metrics::PhaseTimer timer(phases.phases());
  metrics::EventLog events;
  driver::Instruments instruments{timer, events};
  training::StepObserver observer(phases, instruments, 1);
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  const partita::test::RegionLog log;
  timer.begin_step(replica.context.exec());
  replica.run(1, observer);
  timer.end_step(replica.context.exec());

  const auto regions = [&](const std::string& start) {
    return std::count_if(log.names.begin(), log.names.end(), [&](const auto& name) { return name.starts_with(start); });
  };
  const auto counted = [&](nn::Part part) { return moments.of[static_cast<std::size_t>(part)]; };
  EXPECT_EQ(regions("partita::training::forward"), counted(nn::Part::forward));
  EXPECT_EQ(regions("partita::training::backward"),
            counted(nn::Part::backward_input) + counted(nn::Part::backward_weights));
  EXPECT_TRUE(
      std::all_of(log.names.begin(), log.names.end(), [](const auto& n) { return n.starts_with("partita::"); }));
  EXPECT_EQ(log.open, 0);
  if (world.size() == 1) return;
  const index_t halos = images.rows.ranks().traffic_entry("halo", "direct")->calls;
  EXPECT_GE(halos, 8);
  EXPECT_EQ(regions("partita::comm::halo::direct"), 2 * halos);
  EXPECT_GT(regions("partita::training::forward_halo"), 0);
  EXPECT_GT(regions("partita::training::backward_halo"), 0);
}

// All that is around two units: the pause between them is the phase's that went before it, and no region's.
TEST(step_regions_of_actions, a_whole_action_is_an_event_and_no_phase) {
  const comm::Communicator& world = partita::test::world();
  const Replica<float> replica({"mlp", 25}, world, {});
  const training::StepPhases phases(replica.model, replica.model);
  const Exec& exec = replica.context.exec();
  constexpr std::int64_t pause_ns = 3'000'000;
  const std::pair<nn::Part, std::string> actions[] = {{nn::Part::forward, "forward"},
                                                      {nn::Part::backward, "backward"},
                                                      {nn::Part::backward_input, "backward_input"},
                                                      {nn::Part::backward_weights, "backward_weights"}};
  for (const auto& [part, name] : actions) {
    metrics::PhaseTimer timer(phases.phases());
    metrics::EventLog events(0, 0, 100);
    driver::Instruments instruments{timer, events};
    training::StepObserver observer(phases, instruments, 0);
    const partita::test::RegionLog log;
    const auto moment = [&](const nn::Moment& of, const auto& inside) {
      observer.before(of, {}, exec);
      inside();
      observer.after(of, {}, exec);
    };
    const nn::Moment unit{.part = nn::Part::forward, .stage = 1, .unit = 0, .micro_batch = 5};
    timer.begin_step(exec);
    timer.mark(training::StepPhases::input, exec);
    moment({.part = part, .stage = 1, .micro_batch = 5}, [&] {
      moment(unit, [] {});
      const std::int64_t until = now_ns() + pause_ns;
      while (now_ns() < until) continue;
      moment(unit, [&] {
        moment({.part = nn::Part::exchange, .unit = 0, .bytes = 7, .match = 11},
               [&] { moment(unit, [&] { moment(unit, [] {}); }); });
      });
    });
    const metrics::StepTimes& times = timer.end_step(exec);
    EXPECT_GE(times.phase_s[static_cast<std::size_t>(phases.of(unit))], seconds(pause_ns));
    EXPECT_EQ(std::count(log.names.begin(), log.names.end(), "partita::training::forward"), 4);
    EXPECT_EQ(log.names.size(), 4u + 1u);

    const std::vector<metrics::Event> kept = events.drain();
    ASSERT_EQ(kept.size(), 6u) << "five deep";
    const metrics::Event& action = kept.back();
    EXPECT_EQ(training::StepPhases::part_names().at(static_cast<std::size_t>(action.part)), name);
    EXPECT_EQ(action.unit, -1);
    EXPECT_EQ(action.stage, 1);
    EXPECT_EQ(action.micro_batch, 5);
    EXPECT_GE(action.end_ns - action.start_ns, pause_ns);
    EXPECT_LE(action.start_ns, kept.front().start_ns);
    EXPECT_EQ(std::count_if(kept.begin(), kept.end(), [](const auto& e) { return e.match == 11 && e.bytes == 7; }), 1);
  }
}

}  // namespace
}  // namespace partita::parallel::test::step_regions_tests
