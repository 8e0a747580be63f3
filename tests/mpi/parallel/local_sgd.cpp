// SPDX-License-Identifier: BSD-3-Clause
// Local SGD: with one local step it is the all-reduce; with more, ranks part and meet.
#include <gtest/gtest.h>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test {
namespace {

using comm::Allreduce;
using partita::test::world;

constexpr Kind mlp{"mlp", 48}, cnn{"cnn", 48};

Options every_steps(index_t every, index_t micro_batches = 1) {
  Options options{.allreduce = Allreduce::ring, .micro_batches = micro_batches};
  options.strategy = Strategy::local_sgd;
  options.local_steps = every;
  options.update.optimizer.kind = kernels::Optimizer::sgd;
  options.update.learning_rate = 0.1;
  options.update.clip_norm = 0;
  return options;
}

// One step from common weights, then the mean: sum_r b_r/B (w - rate g_r) = w - rate g.
TEST(local_sgd, with_one_step_and_sgd_is_the_allreduce) {
  const Options options = every_steps(1, 2);
  const Trained<float> local(mlp, world(), options, 20);
  Options plain = options;
  plain.strategy = Strategy::allreduce;
  const Trained<float> many(mlp, world(), plain, 20);
  EXPECT_ALL(world(), local.agree);
  if (world().is_root()) {
    EXPECT_NEAR(local.losses.back() / many.losses.back(), 1, 1e-4);  // DESIGN.md section 6
  }
  // In double, with rows that do not divide: to rounding.
  const Kind odd{"mlp", 25};
  const Trained<double> exact(odd, world(), options, 5), expected(odd, world(), plain, 5);
  for (std::size_t i = 0; i < exact.parameters.size(); ++i)
    EXPECT_NEAR(exact.parameters[i], expected.parameters[i], 1e-6F);
}

TEST(local_sgd, goes_its_own_way_between_averages) {
  const Trained<float> between(mlp, world(), every_steps(4), 3), after(mlp, world(), every_steps(4), 4);
  EXPECT_ALL(world(), between.agree == (world().size() == 1));
  EXPECT_ALL(world(), after.agree);
  // Not the same as averaging every time, and the same bits when it is done again.
  const Trained<float> again(mlp, world(), every_steps(4), 4), other(mlp, world(), every_steps(1), 4);
  EXPECT_ALL(world(), again.parameters == after.parameters);
  if (world().size() > 1) {
    EXPECT_ALL(world(), other.parameters != after.parameters);
  }
}

TEST(local_sgd, averages_master_weights_running_statistics_and_state) {
  Options options = every_steps(2);
  options.average_state = true;
  options.update.optimizer.kind = kernels::Optimizer::adam;
  options.update.learning_rate = 0.01;
  const Trained<bfloat16> half(cnn, world(), options, 4);
  EXPECT_ALL(world(), half.agree);
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  const Trained<float> trained(cnn, world(), options, 4);
  index_t sent = 0;
  for (const comm::TrafficEntry& entry : traffic.entries()) sent += entry.sent_bytes;
  const auto n = std::ssize(trained.parameters), statistics = std::ssize(trained.running);
  // Twice in four steps: weights, both moments, running statistics.
  EXPECT_EQ(world().allreduce(sent, comm::Op::sum), 2 * 2 * (world().size() - 1) * (3 * n + statistics) * 4);
}

}  // namespace
}  // namespace partita::parallel::test
