// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include <partita/nn/gpt.hpp>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "pipeline_problem.hpp"

// A step of a GPT whose head and embedding share a table, on one rank or two: once warm it allocates nothing.

namespace partita::parallel::test::tied_discipline_tests {
namespace {

using partita::test::world;

constexpr nn::GptShape shape{.V = 7, .T = 5, .C = 8, .H = 2, .blocks = 1, .tied = true};
constexpr index_t layers = 5, batch = 12, micro_batches = 3;

PipelinePlan tied_plan(Schedule schedule) {
  PipelinePlan plan = plan_of(schedule, world().size(), micro_batches, layers);
  plan.tied = "embedding.token";
  return plan;
}

class tied_discipline : public ::testing::TestWithParam<std::tuple<Schedule, index_t>> {};

TEST_P(tied_discipline, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  const auto [schedule, chunks] = GetParam();
  Options options{.micro_batches = micro_batches};
  options.chunks = chunks;
  Stages<float> stages(nn::gpt_layers<float>(shape, std::max<index_t>(chunks, 1)), {shape.T, shape.V}, shape.T, world(),
                       tied_plan(schedule), batch, options);
  const Matrix<std::int32_t> tokens("tokens", batch, shape.T);
  const Vector<std::int32_t> label("label", batch * shape.T);
  nn::Observer nobody;
  const auto run = [&](index_t s) { stages.step.run({{}, tokens, label}, s, stages.losses, stages.norm, nobody); };
  for (index_t s = 0; s < 2; ++s) run(s);
  partita::test::start_counting_allocations();
  run(2);
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(world(), count.ours() == 0) << count.ours() << " of ours, the last by " << count.last_of_ours;
}

INSTANTIATE_TEST_SUITE_P(by, tied_discipline,
                         ::testing::Combine(::testing::Values(Schedule::one_f_one_b, Schedule::zb_v),
                                            ::testing::Values(0, 6)),
                         [](const auto& at) {
                           const bool v = std::get<0>(at.param) == Schedule::zb_v;
                           return std::string(v ? "zb_v" : "one_f_one_b") +
                                  (std::get<1>(at.param) > 0 ? "_deterministic" : "");
                         });

}  // namespace
}  // namespace partita::parallel::test::tied_discipline_tests
