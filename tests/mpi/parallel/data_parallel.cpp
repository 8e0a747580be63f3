// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

#include "problem.hpp"

namespace partita::parallel::test {
namespace {

using comm::Allreduce;

class data_parallel : public ::testing::TestWithParam<Allreduce> {
 protected:
  // Training of one rank alone, done by every rank: what all others are held to.
  template <class Scalar>
  static Trained<Scalar> serial(DataParallelOptions options, index_t steps) {
    const comm::Communicator& world = partita::test::world();
    return {world.split(world.rank(), 0, "alone"), options, steps};
  }
};

TEST_P(data_parallel, gradients_and_losses_are_those_of_one_rank) {
  const comm::Communicator& world = partita::test::world();
  const DataParallelOptions options{.batch = 25, .allreduce = GetParam()};
  const auto one = serial<double>(options, 5);
  const Trained<double> many(world, options, 5);
  // A sum of 25 rows in another order, five steps on: a few hundred roundings.
  constexpr double tolerance = 1e3 * std::numeric_limits<double>::epsilon();
  for (std::size_t i = 0; i < one.gradients.size(); ++i) EXPECT_NEAR(many.gradients[i], one.gradients[i], tolerance);
  for (std::size_t s = 0; s < many.losses.size(); ++s) EXPECT_NEAR(many.losses[s], one.losses[s], tolerance);
  EXPECT_ALL(world, many.agree);
}

TEST_P(data_parallel, single_precision_stays_within_the_agreed_bound_after_20_steps) {
  const comm::Communicator& world = partita::test::world();
  const DataParallelOptions options{.batch = 48, .allreduce = GetParam()};
  const auto one = serial<float>(options, 20);
  const Trained<float> many(world, options, 20);
  constexpr double bound = 1e-4;  // DESIGN.md section 6
  if (world.is_root()) {
    EXPECT_NEAR(many.losses.back() / one.losses.back(), 1, bound);
  }
}

TEST_P(data_parallel, deterministic_mode_gives_the_bits_of_one_rank) {
  const comm::Communicator& world = partita::test::world();
  for (const index_t chunks : {24, 7}) {
    const DataParallelOptions options{.batch = 50, .allreduce = GetParam(), .deterministic = true, .chunks = chunks};
    const auto one = serial<float>(options, 4);
    const Trained<float> many(world, options, 4);
    EXPECT_ALL(world, many.parameters == one.parameters);
    EXPECT_ALL(world, many.gradients == one.gradients);
    EXPECT_ALL(world, !world.is_root() || many.losses == one.losses);
  }
}

TEST_P(data_parallel, shares_are_uneven_and_cover_the_batch) {
  const comm::Communicator& world = partita::test::world();
  const Trained<float> fast(world, {.batch = 25, .allreduce = GetParam()}, 1);
  EXPECT_EQ(fast.rows, partition(25, world.size(), world.rank()).extent);
  const Trained<float> fixed(world, {.batch = 25, .allreduce = GetParam(), .deterministic = true, .chunks = 7}, 1);
  EXPECT_EQ(world.allreduce(fixed.rows, comm::Op::sum), 25);
}

TEST_P(data_parallel, counted_bytes_are_the_closed_form) {
  const comm::Communicator& world = partita::test::world();
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  constexpr index_t steps = 3;
  const Trained<float> trained(world, {.batch = 25, .allreduce = GetParam()}, steps);
  const auto n = static_cast<index_t>(trained.gradients.size());
  const comm::TrafficEntry& entry = traffic.entry("allreduce", comm::to_string(GetParam()), world.name());
  EXPECT_EQ(entry.calls, steps);
  EXPECT_EQ(static_cast<double>(entry.sent_bytes), entry.expected_bytes);
  if (GetParam() == Allreduce::ring) {
    EXPECT_EQ(world.allreduce(entry.sent_bytes, comm::Op::sum),
              steps * 2 * (world.size() - 1) * n * index_t{sizeof(float)});
  }
}

TEST_P(data_parallel, too_few_rows_or_chunks_are_refused_by_all_ranks) {
  const comm::Communicator& world = partita::test::world();
  if (world.size() == 1) GTEST_SKIP() << "one rank can hold any batch";
  const index_t few = world.size() - 1;
  EXPECT_THROW(Trained<float>(world, {.batch = few, .allreduce = GetParam()}, 1), UsageError);
  EXPECT_THROW(Trained<float>(world, {.batch = 40, .allreduce = GetParam(), .deterministic = true, .chunks = few}, 1),
               UsageError);
}

TEST_P(data_parallel, replicas_that_differ_are_noticed) {
  const comm::Communicator& world = partita::test::world();
  nn::Model<float> model = Problem<float>::model();
  kernels::Context context;
  const nn::FlatOptimizer<float> optimizer(context.exec(), {}, 0.01, model.parameters());
  const DataParallel<float> replica(model, context, world, {.batch = 25, .allreduce = GetParam()}, optimizer);
  EXPECT_ALL(world, replica.replicas_agree());
  const float odd = 1.0F + static_cast<float>(world.rank());
  Kokkos::deep_copy(Kokkos::subview(model.parameters(), 3), odd);
  EXPECT_EQ(replica.replicas_agree(), world.size() == 1);
}

INSTANTIATE_TEST_SUITE_P(by, data_parallel, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& at) { return std::string(comm::to_string(at.param)); });

}  // namespace
}  // namespace partita::parallel::test
