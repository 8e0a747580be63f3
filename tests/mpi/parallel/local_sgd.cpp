// SPDX-License-Identifier: BSD-3-Clause
// Local SGD: with one local step it is the all-reduce; with more, ranks part and meet.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test::local_sgd_tests {
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

TEST(local_sgd, has_the_norm_of_the_allreduce_where_weights_are_the_same) {
  for (const index_t micro_batches : {1, 2}) {
    const Options options = every_steps(1, micro_batches);
    Options plain = options;
    plain.strategy = Strategy::allreduce;
    const Kind odd{"cnn", 25};
    const Trained<float> local(odd, world(), options, 5), many(odd, world(), plain, 5);
    for (std::size_t s = 0; s < many.norms.size(); ++s) EXPECT_NEAR(local.norms[s] / many.norms[s], 1, 1e-5);
  }
}

// The gradients of ranks that have gone their own way, added up here; rows that do not divide.
TEST(local_sgd, has_the_norm_of_the_mean_gradient) {
  const Kind odd{"mlp", 25};
  Options options = every_steps(3);
  const auto norms = [&](MeanNorm when) {
    options.mean_norm = when;
    return Trained<float>(odd, world(), options, 6).norms;
  };
  const std::vector<double> always = norms(MeanNorm::always), average = norms(MeanNorm::average),
                            never = norms(MeanNorm::never);
  for (index_t step = 0; step < 6; ++step) {
    const Trained<float> trained(odd, world(), options, step + 1);
    double squares = 0;
    for (const float g : trained.gradients) {
      const double part = static_cast<double>(trained.rows) / 25 * static_cast<double>(g);
      const double mean = world().allreduce(part, comm::Op::sum);
      squares += mean * mean;
    }
    const auto s = static_cast<std::size_t>(step);
    EXPECT_NEAR(always[s] / std::sqrt(squares), 1, 1e-5) << step;
    const bool alone = world().size() == 1, averages = step % 3 == 2;
    EXPECT_EQ(std::isnan(average[s]), !alone && !averages) << step;
    if (averages) {
      EXPECT_EQ(average[s], always[s]) << step;
    }
    EXPECT_EQ(std::isnan(never[s]), !alone) << step;
  }
}

TEST(local_sgd, takes_each_ranks_own_loss_scale_out_of_the_norm) {
  Options options = every_steps(1);
  Options plain = options;
  plain.strategy = Strategy::allreduce;
  options.update.loss_scale.initial = 64.0 * static_cast<double>(index_t{1} << (2 * world().rank()));
  plain.update.loss_scale.initial = 64;
  const Trained<float16> local(mlp, world(), options, 1), many(mlp, world(), plain, 1);
  EXPECT_NEAR(local.norms.front() / many.norms.front(), 1, 1e-2);  // 11 bits, and what vanishes
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
  std::map<std::string, index_t> sent = {{"allreduce", 0}, {"norm_allreduce", 0}};
  for (const comm::TrafficEntry& entry : traffic.entries()) {
    sent[entry.operation] += entry.sent_bytes;
    EXPECT_EQ(static_cast<double>(entry.sent_bytes), entry.expected_bytes) << entry.operation;
    EXPECT_EQ(static_cast<double>(entry.messages), entry.expected_messages) << entry.operation;
  }
  const auto n = std::ssize(trained.parameters), statistics = std::ssize(trained.running);
  // Twice in four steps: weights, both moments, running statistics; and gradients, for their norm alone.
  const index_t a_number = 2 * 2 * (world().size() - 1) * 4;
  EXPECT_EQ(world().allreduce(sent["allreduce"], comm::Op::sum), a_number * (3 * n + statistics));
  EXPECT_EQ(world().allreduce(sent["norm_allreduce"], comm::Op::sum), a_number * n);
}

}  // namespace
}  // namespace partita::parallel::test::local_sgd_tests
