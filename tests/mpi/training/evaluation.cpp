// SPDX-License-Identifier: BSD-3-Clause
// An evaluation reads its weights as a training step does: through the exchange.
#include <numeric>

#include <gtest/gtest.h>

#include <partita/training/evaluation.hpp>
#include <partita/training/model_options.hpp>
#include <partita/training/train_options.hpp>

#include <support/mpi.hpp>

namespace partita::training::evaluation_tests {
namespace {

using partita::test::world;

// Weights that are not the model's own, handed to a unit when it asks for them; or one window of all.
class Elsewhere final : public nn::Exchange<float> {
 public:
  Elsewhere(ConstVector<float> weights, bool together) : all_(weights), now_(all_), together_(together) {
    if (together_) now_ = {};
  }

  const nn::Window<const float>& weights(const Exec&, index_t step) override {
    last_step = step;
    return now_;
  }
  bool reads_together() const override { return together_; }
  void reading(const Exec&, const nn::Moment& moment, std::span<const Range>, nn::Observer&) override {
    if (together_) now_ = all_;
    if (moment.unit == 0) ++passes;
  }
  void read(const Exec&, const nn::Moment&) override {
    if (together_) now_ = {};
  }
  void finish(const Exec&, nn::Observer&) override {}
  ConstVector<float> gradients() const override { return {}; }
  ConstVector<float> statistics() const override { return {}; }

  index_t passes = 0, last_step = -1;

 private:
  nn::Window<const float> all_, now_;
  bool together_;
};

// 70 samples in blocks of 32: three blocks, whatever the ranks.
TEST(evaluation, ranks_that_read_together_do_as_many_passes_and_count_their_own) {
  TrainOptions train;
  train.batch = 24;
  train.steps = 10;
  train.kernels.backend = kernels::Backend::portable;
  ModelOptions options;
  options.mlp.hidden = {17};
  DataOptions data_options;
  data_options.source = Source::synthetic;
  data_options.held_out = 70;
  data_options.synthetic.classes = 7;
  data_options.synthetic.features = 20;
  const Dataset data(world(), data_options, train, world().size());
  const nn::ModelOptions seeded{.seed = 3};
  const auto other = make_model<float>(options, data.shape(), seeded);
  auto model = make_model<float>(options, data.shape(), {.seed = 3, .weights = false});
  const nn::WholeRows<float> head(train.loss, model);
  const Evaluation<float> evaluation(model, head, data, nullptr, 32);
  kernels::Context context(Exec(), train.kernels);
  const auto run = [&](Elsewhere& exchange) {
    return evaluation.run(context, exchange, 5, world(), [] { return false; });
  };

  Elsewhere apart(other.parameters(), false), together(other.parameters(), true);
  const EvaluationResult expected = run(apart), got = run(together);
  EXPECT_EQ(got.loss, expected.loss);
  EXPECT_EQ(got.accuracy, expected.accuracy);
  EXPECT_GT(got.loss, 0);
  EXPECT_EQ(together.last_step, 5);
  const index_t most = (3 + world().size() - 1) / world().size();
  EXPECT_EQ(together.passes, most);
  const std::vector<index_t> own = world().gather(std::span<const index_t>(&apart.passes, 1));
  if (world().is_root()) {
    EXPECT_EQ(std::accumulate(own.begin(), own.end(), index_t{0}), 3);
  }
}

}  // namespace
}  // namespace partita::training::evaluation_tests
