// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test::allreduce_exchange_tests {
namespace {

using comm::Allreduce;

constexpr Kind mlp{"mlp", 25}, gpt{"gpt", 25}, cnn{"cnn", 25};

class allreduce_exchange : public ::testing::TestWithParam<Allreduce> {
 protected:
  // Training of one rank alone, done by every rank: what all others are held to.
  template <class Scalar>
  static Trained<Scalar> serial(const Kind& kind, Options options, index_t steps) {
    const comm::Communicator& world = partita::test::world();
    return {kind, world.split(world.rank(), 0, "alone"), options, steps};
  }
};

TEST_P(allreduce_exchange, gradients_losses_and_norms_are_those_of_one_rank) {
  const comm::Communicator& world = partita::test::world();
  for (const Kind& kind : {mlp, gpt}) {
    const auto one = serial<double>(kind, {.allreduce = GetParam()}, 5);
    const Trained<double> many(kind, world, {.allreduce = GetParam(), .micro_batches = 2}, 5);
    // A sum of 25 rows in another order, five steps on: a few hundred roundings.
    constexpr double tolerance = 1e3 * std::numeric_limits<double>::epsilon();
    for (std::size_t i = 0; i < one.gradients.size(); ++i) EXPECT_NEAR(many.gradients[i], one.gradients[i], tolerance);
    for (std::size_t s = 0; s < many.losses.size(); ++s) EXPECT_NEAR(many.losses[s], one.losses[s], 10 * tolerance);
    for (std::size_t s = 0; s < many.norms.size(); ++s) EXPECT_NEAR(many.norms[s] / one.norms[s], 1, tolerance);
    EXPECT_ALL(world, many.agree);
  }
}

TEST_P(allreduce_exchange, single_precision_stays_within_the_agreed_bounds) {
  const comm::Communicator& world = partita::test::world();
  for (const index_t micro_batches : {1, 3}) {
    const Kind kind{"mlp", 48};
    const auto one = serial<float>(kind, {.allreduce = GetParam()}, 20);
    const Trained<float> many(kind, world, {.allreduce = GetParam(), .micro_batches = micro_batches}, 20);
    if (world.is_root()) {
      EXPECT_NEAR(many.losses.back() / one.losses.back(), 1, 1e-4);  // DESIGN.md section 6
    }
    EXPECT_NEAR(many.norms.front() / one.norms.front(), 1, 1e-5);
  }
}

// Losses, norms, parameters and running statistics, of an MLP, a GPT with dropout and tied tables, and a CNN with batch
// norm: the bits of one rank, in micro-batches, too.
TEST_P(allreduce_exchange, deterministic_mode_gives_the_bits_of_one_rank) {
  const comm::Communicator& world = partita::test::world();
  for (const Kind& kind : {mlp, gpt, cnn})
    for (const index_t chunks : {24, 9}) {
      const auto one = serial<float>(kind, {.allreduce = GetParam(), .chunks = chunks}, 3);
      for (const index_t micro_batches : {1, 2}) {
        const Trained<float> many(kind, world,
                                  {.allreduce = GetParam(), .micro_batches = micro_batches, .chunks = chunks}, 3);
        EXPECT_ALL(world, many.parameters == one.parameters) << kind.name;
        EXPECT_ALL(world, many.gradients == one.gradients) << kind.name;
        EXPECT_ALL(world, many.running == one.running) << kind.name;
        EXPECT_ALL(world, many.norms == one.norms) << kind.name;
        EXPECT_ALL(world, !world.is_root() || many.losses == one.losses) << kind.name;
      }
    }
}

// The statistics of a batch are those of its rows, whoever has them: a rank's part weighs as much as its rows.
TEST_P(allreduce_exchange, running_statistics_are_reduced_over_ranks) {
  const comm::Communicator& world = partita::test::world();
  const Trained<double> many(cnn, world, {.allreduce = GetParam()}, 2);
  EXPECT_ALL(world, many.agree);
  // Mean of the stem's statistics: linear in the rows' shares, so that of one rank in as many micro-batches.
  const auto one = serial<double>(cnn, {.allreduce = GetParam(), .micro_batches = world.size()}, 1);
  const Trained<double> first(cnn, world, {.allreduce = GetParam()}, 1);
  for (std::size_t i = 0; i < one.running.size(); ++i) EXPECT_NEAR(first.running[i], one.running[i], 1e-12);
}

TEST_P(allreduce_exchange, sixteen_bit_models_skip_the_same_steps) {
  const comm::Communicator& world = partita::test::world();
  Options options{.allreduce = GetParam()};
  options.update.loss_scale.initial = 0x1p30;  // overflows for some steps
  const auto one = serial<float16>(gpt, options, 24);
  const Trained<float16> many(gpt, world, options, 24);
  EXPECT_GT(one.skipped, 3);
  EXPECT_ALL(world, many.skipped == one.skipped) << many.skipped << " and " << one.skipped;
  EXPECT_ALL(world, many.agree);
  const auto brain = serial<bfloat16>(gpt, options, 3);
  const Trained<bfloat16> brains(gpt, world, options, 3);
  EXPECT_EQ(brain.skipped + brains.skipped, 0);
  EXPECT_NEAR(brains.norms.front() / brain.norms.front(), 1, 0.02);
}

TEST_P(allreduce_exchange, shares_are_uneven_and_cover_the_batch) {
  const comm::Communicator& world = partita::test::world();
  const Trained<float> fast(mlp, world, {.allreduce = GetParam()}, 1);
  EXPECT_EQ(fast.rows, partition(25, world.size(), world.rank()).extent);
  const Trained<float> fixed(mlp, world, {.allreduce = GetParam(), .chunks = 7}, 1);
  EXPECT_EQ(world.allreduce(fixed.rows, comm::Op::sum), 25);
}

TEST_P(allreduce_exchange, counted_bytes_are_the_closed_form) {
  const comm::Communicator& world = partita::test::world();
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  constexpr index_t steps = 3;
  const Trained<float> trained(cnn, world, {.allreduce = GetParam(), .micro_batches = 2}, steps);
  const auto n = static_cast<index_t>(trained.gradients.size());  // statistics travel with the gradient
  EXPECT_EQ(n, std::ssize(trained.parameters) + std::ssize(trained.running));
  const comm::TrafficEntry& entry = traffic.entry("allreduce", comm::to_string(GetParam()), world.name());
  EXPECT_EQ(entry.calls, steps);
  EXPECT_EQ(static_cast<double>(entry.sent_bytes), entry.expected_bytes);
  if (GetParam() == Allreduce::ring) {
    EXPECT_EQ(world.allreduce(entry.sent_bytes, comm::Op::sum),
              steps * 2 * (world.size() - 1) * n * index_t{sizeof(float)});
  }
}

TEST_P(allreduce_exchange, replicas_that_differ_are_noticed) {
  const comm::Communicator& world = partita::test::world();
  Replica<float> replica(mlp, world, {.allreduce = GetParam()});
  EXPECT_ALL(world, replicas_agree<float>(world, replica.model.parameters()));
  const float odd = 1.0F + static_cast<float>(world.rank());
  Kokkos::deep_copy(Kokkos::subview(replica.model.parameters(), 3), odd);
  EXPECT_EQ(replicas_agree<float>(world, replica.model.parameters()), world.size() == 1);
}

INSTANTIATE_TEST_SUITE_P(by, allreduce_exchange, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& at) { return std::string(comm::to_string(at.param)); });

}  // namespace
}  // namespace partita::parallel::test::allreduce_exchange_tests
