// SPDX-License-Identifier: BSD-3-Clause
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>

#include <support/caught.hpp>
#include "problem.hpp"

// What backward computes again in place of keeping it changes no bit of a training; the observer hears of it; the last
// units of what is computed again do not run where nobody needs them.

namespace partita::nn::recompute_tests {
namespace {

using ::partita::testing::caught;
using Again = Recompute;

struct Outcome {
  std::vector<double> losses, norms;
  std::vector<float> parameters, gradients, running;

  bool operator==(const Outcome&) const = default;
};

template <class Values>
std::vector<float> as_floats(const Values& values) {
  std::vector<float> all;
  for (const auto value : test::on_host(values)) all.push_back(static_cast<float>(value));
  return all;
}

// Three steps; chunks 0: fast mode.
template <class Scalar>
Outcome train(Model<Scalar> model, index_t micro_batches, index_t chunks) {
  kernels::Context context(Exec(),
                           {.backend = kernels::Backend::automatic, .deterministic = chunks > 0, .per_kernel = {}});
  const test::Data<Scalar> data(model, 13);
  SerialStep<Scalar> step(
      context, model, 13,
      {.update = {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 1},
       .micro_batches = micro_batches,
       .chunks = chunks});
  Outcome outcome;
  for (int s = 0; s < 3; ++s) {
    step.run(data.batch());
    context.exec().fence();
    double norm = 0;
    Kokkos::deep_copy(norm, step.norm);
    outcome.norms.push_back(norm);
    for (const double loss : test::on_host(step.losses)) outcome.losses.push_back(loss);
  }
  outcome.parameters = as_floats(model.parameters());
  outcome.gradients = as_floats(step.gradients());
  outcome.running = as_floats(model.running());
  return outcome;
}

constexpr double rate = 0.2;

struct Case {
  const char* name;
  std::vector<Again> what;

  template <class Scalar>
  Model<Scalar> make(Again recompute, index_t chunks) const {
    const ModelOptions options{.seed = 2, .chunks = std::max<index_t>(chunks, 1)};
    const std::string kind = name;
    if (kind == "gpt")
      return make_gpt<Scalar>(
          {.V = 7, .T = 5, .C = 8, .H = 2, .blocks = 2, .tied = true, .dropout = rate, .recompute = recompute},
          options);
    if (kind == "gpt_rms")
      return make_gpt<Scalar>({.V = 7, .T = 3, .C = 6, .H = 3, .rms_norm = true, .recompute = recompute}, options);
    CnnShape shape{
        .rows = 7, .columns = 6, .channels = 2, .width = {4, 6}, .depth = 1, .classes = 4, .recompute = recompute};
    if (kind == "vgg") shape.kind = CnnKind::vgg;
    if (kind == "groupnorm") shape.groups = 2;
    return make_cnn<Scalar>(shape, options);
  }
};

class recompute : public ::testing::TestWithParam<Case> {};

TEST_P(recompute, trains_to_the_same_bits) {
  for (const index_t chunks : {0, 8})
    for (const index_t micro_batches : {1, 3}) {
      const auto of = [&](Again what) { return train(GetParam().make<float>(what, chunks), micro_batches, chunks); };
      const Outcome kept = of(Again::none);
      for (const Again what : GetParam().what) EXPECT_EQ(of(what), kept) << chunks << " " << micro_batches;
    }
}

TEST_P(recompute, trains_sixteen_bit_models_to_the_same_bits) {
  const auto of = [&](Again what) { return train(GetParam().make<bfloat16>(what, 8), 2, 8); };
  const Outcome kept = of(Again::none);
  for (const Again what : GetParam().what) EXPECT_EQ(of(what), kept);
}

// What a pass does, unit by unit.
struct Heard final : Observer {
  explicit Heard(const Model<double>& of) : model(of) {}
  void before(const Moment& moment, std::span<const Range> reads, const Exec&) override {
    if (moment.unit < 0) return;
    const Unit<double>* unit = model.units()[static_cast<std::size_t>(moment.unit)];
    if (moment.part == Part::forward) {
      EXPECT_EQ(reads.size(), unit->reads().size());
      (moment.replay ? again : forward).push_back(unit->name());
    }
    all.push_back((moment.part != Part::forward ? "-" : moment.replay ? "again " : "+") + unit->name());
  }

  const Model<double>& model;
  std::vector<std::string> forward, again, all;
};

std::vector<std::string> heard_again(test::Problem& problem) {
  Heard heard(problem.model);
  problem.run(heard);
  return heard.again;
}

TEST_P(recompute, operations_done_again_are_counted_apart) {
  const auto flop = [&](Again what) { return GetParam().make<double>(what, 0).flop(3); };
  EXPECT_EQ(flop(Again::none).again, 0);
  for (const Again what : GetParam().what) {
    EXPECT_EQ(flop(what).total(), flop(Again::none).total());
    EXPECT_GT(flop(what).again, 0.1 * flop(what).forward);
    EXPECT_LT(flop(what).again, flop(what).forward);
  }
}

INSTANTIATE_TEST_SUITE_P(models, recompute,
                         ::testing::Values(Case{"gpt", {Again::attention, Again::block}},
                                           Case{"gpt_rms", {Again::attention, Again::block}},
                                           Case{"resnet", {Again::block}}, Case{"vgg", {Again::block}},
                                           Case{"groupnorm", {Again::block}}),
                         [](const auto& at) { return std::string(at.param.name); });

using Names = std::vector<std::string>;

Names of_block(int b, const Names& parts) {
  Names names;
  for (const std::string& part : parts) names.push_back("block" + std::to_string(b) + "." + part);
  return names;
}

Names join(Names first, const Names& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Of a branch the projection is not read again, nor its dropout: a sum over ranks between them is not repeated.
TEST(recompute_order, of_attention_branches_is_all_that_backward_reads) {
  test::Problem problem(
      make_gpt<double>({.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 2, .dropout = rate, .recompute = Again::attention}),
      3);
  const Names parts = {"norm1", "qkv", "attention"};
  EXPECT_EQ(heard_again(problem), join(of_block(1, parts), of_block(0, parts)));
}

TEST(recompute_order, of_blocks_is_all_that_backward_reads) {
  for (const double dropout : {0.0, rate}) {
    test::Problem problem(
        make_gpt<double>({.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 2, .dropout = dropout, .recompute = Again::block}),
        3);
    const Names parts = dropout > 0
                            ? Names{"norm1", "qkv", "attention", "proj", "dropout1", "attend", "norm2", "up", "gelu"}
                            : Names{"norm1", "qkv", "attention", "proj", "attend", "norm2", "up", "gelu"};
    EXPECT_EQ(heard_again(problem), join(of_block(1, parts), of_block(0, parts)));
  }
}

// A norm at the end saves its statistics: it runs again, into scratch. The sum of a residual does not.
TEST(recompute_order, last_units_that_save_something_run_again) {
  CnnShape shape{.kind = CnnKind::vgg, .rows = 6, .columns = 6, .width = {3}, .depth = 2, .recompute = Again::block};
  test::Problem vgg(make_cnn<double>(shape), 2);
  EXPECT_EQ(heard_again(vgg), (Names{"group0.1.conv", "group0.1.norm", "group0.0.conv", "group0.0.norm"}));
  shape.kind = CnnKind::resnet;
  shape.depth = 1;
  test::Problem resnet(make_cnn<double>(shape), 2);
  EXPECT_EQ(heard_again(resnet), (Names{"group0.0.1.conv", "group0.0.1.norm", "group0.0.2.conv", "group0.0.2.norm"}));
}

TEST(recompute_order, a_block_is_computed_again_right_before_its_backward) {
  test::Problem problem(make_gpt<double>({.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 1, .recompute = Again::attention}),
                        3);
  Heard heard(problem.model);
  problem.run(heard);
  Names backward;  // halves of a unit are two moments; of the sum there is one
  for (const std::string& name : heard.all)
    if (name[0] != '+' && (backward.empty() || backward.back() != name)) backward.push_back(name);
  EXPECT_EQ(backward,
            (Names{"-head", "-norm", "-block0.down", "-block0.gelu", "-block0.up", "-block0.norm2", "-block0.mlp",
                   "again block0.norm1", "again block0.qkv", "again block0.attention", "-block0.proj",
                   "-block0.attention", "-block0.qkv", "-block0.norm1", "-block0.attend", "-embedding"}));
}

TEST(recompute_order, operations_done_again_are_those_of_the_units_that_run_again) {
  for (const bool vgg : {false, true}) {
    Model<double> model =
        vgg ? make_cnn<double>(
                  {.kind = CnnKind::vgg, .rows = 6, .columns = 6, .width = {3, 4}, .recompute = Again::block})
            : make_gpt<double>({.V = 5, .T = 4, .C = 6, .H = 2, .dropout = rate, .recompute = Again::attention});
    test::Problem problem(std::move(model), 3);
    std::map<std::string, double> flop;
    for (const Unit<double>* unit : problem.model.units()) flop[unit->name()] = unit->flop(3).forward;
    double sum = 0;
    for (const std::string& name : heard_again(problem)) sum += flop.at(name);
    EXPECT_DOUBLE_EQ(problem.model.flop(3).again, sum);
    EXPECT_NE(problem.model.describe().find("forward again in backward"), std::string::npos);
  }
}

TEST(recompute_refused, halves_of_backward_that_run_apart) {
  using Kind = Action::Kind;
  const auto refusal = [](Again what) {
    return caught<UsageError>([&] {
      test::Problem(make_gpt<double>({.V = 5, .T = 4, .C = 6, .H = 2, .blocks = 1, .recompute = what}), 3,
                    kernels::Loss::cross_entropy,
                    {{Kind::forward, 0, 0}, {Kind::backward_input, 0, 0}, {Kind::backward_weights, 0, 0}});
    });
  };
  EXPECT_NE(refusal(Again::block).find("block0.again: its forward is done again in backward"), std::string::npos);
  EXPECT_NE(refusal(Again::attention).find("block0.attend.again"), std::string::npos);
}

TEST(recompute_refused, attention_of_a_model_without) {
  EXPECT_NE(caught<UsageError>([] { cnn_layers<float>({.recompute = Again::attention}); }).find("there is none"),
            std::string::npos);
}

}  // namespace
}  // namespace partita::nn::recompute_tests
