// SPDX-License-Identifier: BSD-3-Clause
// What a run is said to take is what its parts allocate.
#include <gtest/gtest.h>

#include <partita/nn/norm_cells.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/footprint.hpp>

#include <support/caught.hpp>
#include <support/mpi.hpp>

namespace partita::training::footprint_tests {
namespace {

using partita::test::world;

struct Case {
  ModelKind kind;
  bool deterministic;
  index_t micro_batches;
};

class footprint : public ::testing::TestWithParam<Case> {};

TEST_P(footprint, is_what_the_parts_allocate) {
  const auto [kind, deterministic, micro_batches] = GetParam();
  TrainOptions train;
  train.batch = 24;
  train.steps = 10;
  train.deterministic = deterministic;
  train.micro_batches = micro_batches;
  train.update.optimizer.kind = kernels::Optimizer::adam;
  ModelOptions options;
  options.kind = kind;
  options.mlp.hidden = {33, 17};
  options.gpt.C = 32;
  options.gpt.blocks = 1;
  options.cnn.width = {4, 8};
  DataOptions data_options;
  data_options.source = Source::synthetic;
  data_options.held_out = 100;
  data_options.synthetic.classes = 7;
  if (kind == ModelKind::gpt) data_options.tokens = 5;
  if (kind == ModelKind::bag) data_options.bag = data::BagOptions{.V = 50, .T = 5, .classes = 7};
  data_options.image = {8, 8, 1};
  data_options.synthetic.features = 64;
  const Dataset data(world(), data_options, train, world().size());
  const nn::Division division = train.division(world().size(), world().rank());
  const auto needs = memory_needs<float>(train, options, data, division, {}, world().size(), world().rank(), true);
  const auto bytes = [&](const std::string& what) {
    for (const driver::MemoryNeed& need : needs)
      if (need.what == what) return need.bytes;
    return -1.0;
  };

  auto model = make_model<float>(options, data.shape(), train.model());
  nn::FlatGradientSum<float> sum(model.table().size(), model.statistics_table().size(), division);
  const nn::WholeRows<float> head(train.loss, model);
  const nn::GradientPass<float> pass(model, division, nn::in_turn(micro_batches), head, &sum);
  const Evaluation<float> evaluation(model, head, data);
  EXPECT_EQ(bytes("parameters"), static_cast<double>(model.bytes()));
  const nn::Stage<float>& stage = model.stages()[0];
  EXPECT_EQ(bytes("activations"), static_cast<double>(stage.allocated()));
  const double update = static_cast<double>(nn::Update<float>::bytes(train.update.optimizer, model.table().size(),
                                                                     std::ssize(nn::norm_cells(model.table()))));
  const double gradient = 4.0 * static_cast<double>(model.gradient_size());
  EXPECT_EQ(bytes("optimizer state"), update);
  // The tree's sum is one flat gradient more.
  const auto buffers = static_cast<double>(
      nn::FlatGradientSum<float>::bytes(model.table().size(), model.statistics_table().size(), division));
  EXPECT_EQ(bytes("gradients"), buffers + (deterministic ? gradient : 0));
  EXPECT_EQ(bytes("record"), 160);
}

INSTANTIATE_TEST_SUITE_P(models, footprint,
                         ::testing::Values(Case{ModelKind::mlp, false, 1}, Case{ModelKind::mlp, true, 2},
                                           Case{ModelKind::gpt, false, 2}, Case{ModelKind::cnn, true, 1},
                                           Case{ModelKind::bag, true, 2}));

TEST(footprint, a_batch_is_judged_in_one_place) {
  TrainOptions train;
  train.batch = 12;
  train.micro_batches = 3;
  EXPECT_FALSE(find_batch_problem(train, 4, 12));
  EXPECT_EQ(find_batch_problem(train, 4, 11)->key, "train.batch");
  EXPECT_EQ(find_batch_problem(train, 5, 12)->found,
            "a global batch of 12 cannot be shared by 5 ranks in 3 micro-batches");
  train.deterministic = true;
  train.chunks = 11;
  EXPECT_EQ(find_batch_problem(train, 4, 12)->key, "train.deterministic_chunks");
  train.micro_batches = too_large;
  EXPECT_EQ(find_batch_problem(train, 4, 12)->key, "train.batch");
}

}  // namespace
}  // namespace partita::training::footprint_tests
