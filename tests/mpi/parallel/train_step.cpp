// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>
#include <tuple>

#include "problem.hpp"

// A whole training step, as an app makes it: after warm-up it allocates nothing, fences only around the all-reduce, and
// every kernel has a label of ours.

namespace partita::parallel::test {
namespace {

using comm::Allreduce;
using Data = Problem<float>;

struct Step {
  Step(const comm::Communicator& comm, Allreduce how, bool deterministic)
      : context(Exec(), {.backend = kernels::Backend::automatic, .deterministic = deterministic, .per_kernel = {}}),
        replica(
            model, context, comm, {.batch = 25, .allreduce = how, .deterministic = deterministic, .chunks = 7},
            nn::FlatOptimizer<float>(context.exec(), {.kind = kernels::Optimizer::adam}, 0.01, model.parameters())),
        x("x", replica.rows().extent, Data::features),
        label("label", replica.rows().extent),
        losses("losses", replica.loss_terms()) {
    Data::fill(0, replica.rows(), x, label);
  }

  void run() {
    timer.begin_step(context.exec());
    replica.train_step(x, label, losses, timer);
    timer.end_step(context.exec());
  }

  nn::Model<float> model = Data::model();
  kernels::Context context;
  DataParallel<float> replica;
  metrics::PhaseTimer timer{training_phases()};
  Matrix<float> x;
  Vector<std::int32_t> label;
  Vector<double> losses;
};

class train_step : public ::testing::TestWithParam<std::tuple<Allreduce, bool>> {};

TEST_P(train_step, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const auto [how, deterministic] = GetParam();
  Step step(partita::test::world(), how, deterministic);
  step.run();
  step.run();
  partita::test::start_counting_allocations();
  step.run();
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(partita::test::world(), count.ours() == 0)
      << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(train_step, fences_around_the_allreduce_alone_and_labels_every_kernel) {
  const auto [how, deterministic] = GetParam();
  const comm::Communicator& world = partita::test::world();
  Step step(world, how, deterministic);
  step.run();
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, step.context.exec());
    step.run();
  }
  EXPECT_GE(seen.kernels, 9);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
  // One before the barrier that separates waiting, those of the collective; a device timer adds two a phase.
  constexpr int most = std::is_same_v<Exec, HostExec> ? 6 : 6 + 2 * 7 * 8;
  EXPECT_LE(seen.fences, most);
}

INSTANTIATE_TEST_SUITE_P(by, train_step,
                         ::testing::Combine(::testing::Values(Allreduce::mpi, Allreduce::ring), ::testing::Bool()),
                         [](const auto& at) {
                           return std::string(comm::to_string(std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_deterministic" : "_fast");
                         });

}  // namespace
}  // namespace partita::parallel::test
