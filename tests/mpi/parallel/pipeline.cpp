// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/nn/mlp.hpp>
#include <partita/nn/serial_step.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "pipeline_problem.hpp"

// A model cut into stages over all ranks, in double, against the same steps of one rank alone; and its messages.

namespace partita::parallel::test::pipeline_tests {
namespace {

using partita::test::world;

constexpr index_t batch = 23, steps = 3;

template <class T>
std::vector<std::remove_const_t<T>> on_host(const Vector<T>& values) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return {host.data(), host.data() + host.extent(0)};
}

struct Left {
  std::vector<double> losses, norms, parameters;  // parameters: of the whole model, on all ranks
};

nn::LayerList<double> layers(index_t chunks) {
  return nn::mlp_layers<double>(deep_mlp(), std::max<index_t>(chunks, 1));
}

Left one_rank(const Options& options) {
  kernels::Context context(Exec(), {.deterministic = options.chunks > 0, .per_kernel = {}});
  nn::Model<double> model(layers(options.chunks), {1, 4}, Stages<double>::how(options));
  nn::SerialStep<double> step(
      context, model, batch,
      {.update = options.update, .micro_batches = options.micro_batches, .chunks = options.chunks, .seed = 5});
  Stages<double> data(layers(options.chunks), {1, 4}, 6, world(),
                      plan_of(Schedule::gpipe, world().size(), options.micro_batches, deep_mlp_layers), batch, options);
  Left left;
  for (index_t s = 0; s < steps; ++s) {
    data.fill(s);
    step.run({data.x, {}, data.label});
    left.losses.push_back(tree_sum(on_host(step.losses)) / static_cast<double>(batch));
    double norm = 0;
    Kokkos::deep_copy(norm, step.norm);
    left.norms.push_back(norm);
  }
  left.parameters = on_host(model.parameters());
  return left;
}

Left many_ranks(Schedule schedule, const Options& options) {
  Stages<double> stages(layers(options.chunks), {1, 4}, 6, world(),
                        plan_of(schedule, world().size(), options.micro_batches, deep_mlp_layers), batch, options);
  nn::Observer nobody;
  Left left;
  for (index_t s = 0; s < steps; ++s) {
    stages.fill(s);
    stages.run(s, nobody);
    double loss = tree_sum(on_host(stages.losses)) / static_cast<double>(batch), norm = 0;
    stages.strategy.from_last_stage(loss);
    Kokkos::deep_copy(norm, stages.norm);
    left.losses.push_back(loss);
    left.norms.push_back(norm);
  }
  const auto mine = on_host(stages.model.parameters());
  for (int s = 0; s < stages.plan.stages(); ++s) {
    const int owner = stages.plan.rank_of_stage[static_cast<std::size_t>(s)];
    std::vector<double> part;
    if (world().rank() == owner) {
      const Range range = stages.model.parameters_of(s);
      part.assign(mine.begin() + range.offset, mine.begin() + range.end());
    }
    world().broadcast(part, owner);
    left.parameters.insert(left.parameters.end(), part.begin(), part.end());
  }
  return left;
}

class pipeline : public ::testing::TestWithParam<Schedule> {};

TEST_P(pipeline, has_the_bits_of_one_rank_in_deterministic_mode) {
  for (const index_t micro_batches : {1, 3, 5}) {
    Options options{.micro_batches = micro_batches, .chunks = 9};
    const Left one = one_rank(options), many = many_ranks(GetParam(), options);
    EXPECT_ALL(world(), many.losses == one.losses) << micro_batches;
    EXPECT_ALL(world(), many.norms == one.norms) << micro_batches;
    EXPECT_ALL(world(), many.parameters == one.parameters) << micro_batches;
  }
}

TEST_P(pipeline, trains_the_same_in_fast_mode) {
  for (const index_t micro_batches : {1, 2, 7}) {
    const Options options{.micro_batches = micro_batches};
    const Left one = one_rank({.micro_batches = 1}), many = many_ranks(GetParam(), options);
    bool near = true;
    for (std::size_t i = 0; i < one.parameters.size(); ++i)
      near = near && std::abs(many.parameters[i] - one.parameters[i]) < 1e-9;
    EXPECT_ALL(world(), near) << micro_batches;
    for (std::size_t s = 0; s < one.norms.size(); ++s)
      EXPECT_ALL(world(), std::abs(many.norms[s] - one.norms[s]) < 1e-10 * one.norms[s]) << micro_batches;
  }
}

INSTANTIATE_TEST_SUITE_P(by, pipeline,
                         ::testing::Values(Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved,
                                           Schedule::zb_h1, Schedule::zb_v),
                         [](const auto& at) {
                           std::string name(name_of(schedules, at.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return "as_" + name;
                         });

// Waits in every unit, so that a sender is far ahead.
struct Slow final : nn::Observer {
  void before(const nn::Moment& moment, std::span<const Range>, const Exec&) override {
    if (moment.unit >= 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
};

// Messages too long to be buffered anywhere: what a rank overwrites too early arrives changed. The last rank says what
// arrived, by its losses.
TEST(pipeline_messages, are_not_overwritten_before_they_have_gone) {
  if (world().size() == 1) GTEST_SKIP() << "nothing travels";
  constexpr index_t width = 8, wide = 6000, rows = 24, micro_batches = 6;  // 4 rows of 48 kB: 192 kB a message
  const nn::MlpShape shape{width, {wide, width, wide, width, wide}, 4, kernels::Activation::relu};
  PipelinePlan plan = plan_of(Schedule::one_f_one_b, world().size(), micro_batches, 6);
  plan.layers = {1};  // cut behind the wide ones
  while (std::ssize(plan.layers) + 1 < world().size()) plan.layers.push_back(2);
  plan.layers.push_back(6 - std::accumulate(plan.layers.begin(), plan.layers.end(), index_t{0}));
  const Options options{.micro_batches = micro_batches};
  const auto of = [&](bool slow_end) {
    Stages<double> stages(nn::mlp_layers<double>(shape, 1), {1, 4}, width, world(), plan, rows, options);
    const nn::Division division = nn::divide(rows, 1, 0, micro_batches, 0);
    const nn::Actions actions = stages.strategy.forward_actions(micro_batches);
    const auto links = stages.strategy.forward_links(actions, division);
    const nn::GradientPass<double> pass(stages.model, division, actions, stages.head, nullptr, links.get());
    const Vector<index_t> correct("correct", micro_batches);
    nn::Progress nothing;
    nn::Observer nobody;
    Slow slow;
    const bool last = world().rank() + 1 == world().size();
    stages.fill(0);
    pass.run(stages.model.call(stages.context, slow_end && last ? slow : nobody), {stages.x, {}, stages.label}, nothing,
             {stages.losses, correct});
    std::vector<double> losses = on_host(stages.losses);
    world().broadcast(losses, world().size() - 1);
    return losses;
  };
  const std::vector<double> slow = of(true), fast = of(false);
  EXPECT_ALL(world(), slow == fast);
  kernels::Context context;
  nn::Model<double> whole(nn::mlp_layers<double>(shape, 1), {1, 4}, {.seed = 7});
  const nn::WholeRows<double> head(kernels::Loss::cross_entropy, whole);
  const nn::Division division = nn::divide(rows, 1, 0, micro_batches, 0);
  const nn::GradientPass<double> pass(whole, division, nn::forward_only(micro_batches), head, nullptr);
  Stages<double> data(nn::mlp_layers<double>(shape, 1), {1, 4}, width, world(), plan, rows, options);
  data.fill(0);
  nn::Progress nothing;
  nn::Observer nobody;
  const Vector<index_t> correct("correct", micro_batches);
  pass.run(whole.call(context, nobody), {data.x, {}, data.label}, nothing, {data.losses, correct});
  const std::vector<double> expected = on_host(data.losses);
  for (std::size_t m = 0; m < expected.size(); ++m)
    EXPECT_ALL(world(), std::abs(slow[m] - expected[m]) < 1e-9 * expected[m]) << "micro-batch " << m;
}

TEST(pipeline_memory, of_messages_is_the_closed_form_and_traffic_what_is_cut) {
  const Options options{.micro_batches = 4};
  Stages<double> stages(layers(1), {1, 4}, 6, world(),
                        plan_of(Schedule::one_f_one_b, world().size(), 4, deep_mlp_layers), batch, options);
  // Two buffers of x at the last rank, one more than in flight; two of dx; the largest micro-batch has 6 rows of 6.
  const int behind = world().size() - 1 - world().rank();
  const index_t x = std::min<index_t>(4, behind + 2), dx = 2;
  const index_t expected = world().is_root() ? 0 : (x + dx) * 6 * 6 * 8;
  EXPECT_ALL(world(), stages.strategy.message_bytes() == expected);
  EXPECT_ALL(world(), stages.strategy.expected_message_bytes() == expected);
}

}  // namespace
}  // namespace partita::parallel::test::pipeline_tests
