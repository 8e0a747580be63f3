// SPDX-License-Identifier: BSD-3-Clause
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/training/checkpoint_facts.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::training::checkpoint_facts_tests {
namespace {

using partita::testing::caught;

const std::vector<double> losses = {2.5, 1.25};

struct Resumption {
  Resumption() { weights.add("linear0.bias", {index_t{3}}, {}); }

  // Of a checkpoint of two steps in which `change` changed something.
  CheckpointState state(const std::function<void(CheckpointFacts&)>& change = {},
                        const std::function<void(io::CheckpointWriter&)>& add = {}) const {
    const testing::TemporaryFolder folder;
    CheckpointFacts facts{deck, 2, losses, {2, {0.5, 1, 0}}, "allreduce/ring", 1};
    if (change) change(facts);
    io::CheckpointWriter writer = begin_checkpoint(folder / "c.h5", train, facts);
    if (add) add(writer);
    writer.finish();
    return read_state(io::CheckpointFile(folder / "c.h5"), {train, deck, 6, weights, statistics});
  }
  std::string refusal(const std::function<void(CheckpointFacts&)>& change,
                      const std::function<void(io::CheckpointWriter&)>& add = {}) const {
    const std::string said = caught<UsageError>([&] { state(change, add); });
    const std::string name = "/c.h5: ";
    const auto at = said.find(name);
    return at == std::string::npos ? said : said.substr(at + name.size());
  }

  TrainOptions train;
  nn::ParameterTable weights, statistics;
  std::string deck = "[train]\nsteps = 6\n";
};

TEST(checkpoint_facts, are_read_as_they_were_written) {
  const CheckpointState state = Resumption().state();
  EXPECT_EQ(state.done, 2);
  EXPECT_EQ(state.losses, losses);
  EXPECT_EQ(state.counters.step, 2);
  EXPECT_EQ(state.counters.loss_scale.scale, 0.5);
  EXPECT_EQ(state.counters.loss_scale.good_steps, 1);
  EXPECT_TRUE(state.same_precision && state.differs.empty());
}

TEST(checkpoint_facts, keys_that_differ_are_named) {
  const CheckpointState state = Resumption().state([](CheckpointFacts& facts) { facts.deck = "[train]\nsteps = 7\n"; });
  EXPECT_EQ(state.differs, (std::vector<std::string>{"train.steps = 7 (now 6)"}));
}

TEST(checkpoint_facts, no_run_has_these_counters) {
  const Resumption run;
  EXPECT_EQ(run.refusal([](CheckpointFacts& facts) { facts.counters.step = -1; }),
            "optimizer_step = -1 after 2 steps: expected 0 up to its steps");
  EXPECT_EQ(run.refusal([](CheckpointFacts& facts) { facts.counters.loss_scale.skipped = 3; }),
            "loss_scale_skipped = 3 after 2 steps: expected 0 up to its steps");
  for (const double scale :
       {0., -1., std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    EXPECT_NE(run.refusal([&](CheckpointFacts& facts) { facts.counters.loss_scale.scale = scale; })
                  .find(": expected a positive number"),
              std::string::npos)
        << scale;
}

TEST(checkpoint_facts, names_that_cannot_be_printed_are_shown_in_one_line) {
  EXPECT_EQ(Resumption().refusal(
                {}, [](io::CheckpointWriter& writer) { writer.tensor("m", "a\nb", {1}, std::vector<float>{1}); }),
            "/m/a?b: the model has no such tensor: expected a checkpoint of this model");
}

}  // namespace
}  // namespace partita::training::checkpoint_facts_tests
