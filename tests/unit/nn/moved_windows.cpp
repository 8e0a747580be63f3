// SPDX-License-Identifier: BSD-3-Clause
#include <limits>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/mlp.hpp>

#include "problem.hpp"

// What sharded strategies do to a pass: weights lie here and there, and only while a unit reads them; gradients go to
// small buckets that units use in turn. Losses, gradients and trained weights are the bits of flat buffers.

namespace partita::nn::moved_windows_tests {
namespace {

constexpr index_t B = 6;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Case {
  const char* name;
  Model<double> (*make)();
};

class moved_windows : public ::testing::TestWithParam<Case> {};

// A window of as little as these ranges need.
Range hull(std::span<const Range> ranges) {
  index_t first = std::numeric_limits<index_t>::max(), end = 0;
  for (const Range& range : ranges) first = std::min(first, range.offset), end = std::max(end, range.end());
  return ranges.empty() ? Range() : Range{first, end - first};
}

// Each unit finds its weights, and nothing but these, in memory where another unit's were before.
struct Gathered final : Progress {
  explicit Gathered(const Model<double>& of)
      : model(of), memory("memory", static_cast<std::size_t>(of.table().size())) {}

  void reading(const Exec& exec, const Moment&, std::span<const Range> reads, Observer&) override {
    EXPECT_EQ(weights.data, nullptr) << "a unit inside of a unit";
    kernels::fill<double>(exec, nan, memory);
    weights = {memory.data(), hull(reads)};
    const Window<const double> all{ConstVector<double>(model.parameters())};
    for (const Range& range : reads)
      kernels::copy<double>(exec, all.vector(range), Window<double>(memory.data(), weights.range).vector(range));
    ++readings;
  }
  void read(const Exec& exec, const Moment&) override {
    kernels::fill<double>(exec, nan, memory);
    weights = {};
    ++reads_done;
  }
  void progress() override { ++progressed; }

  const Model<double>& model;
  Vector<double> memory;
  Window<const double> weights;
  int readings = 0, reads_done = 0, progressed = 0;
};

double run(test::Problem& problem, Gathered& gathered) {
  Observer nobody;
  problem.pass.run(problem.model.call(problem.context, nobody, gathered.weights), problem.data.batch(), gathered,
                   {problem.losses});
  problem.context.exec().fence();
  double total = 0;
  for (const double loss : test::on_host(problem.losses)) total += loss;
  return total / static_cast<double>(problem.data.label.extent(0));
}

TEST_P(moved_windows, a_pass_reads_what_it_announced_and_no_more) {
  test::Problem plain(GetParam().make(), B, kernels::Loss::cross_entropy, {}, 2);
  const double loss = plain.run();
  test::Problem problem(GetParam().make(), B, kernels::Loss::cross_entropy, {}, 2);
  Gathered gathered(problem.model);
  EXPECT_EQ(run(problem, gathered), loss);
  EXPECT_EQ(problem.gradients(), plain.gradients());
  const int units = static_cast<int>(std::ssize(problem.model.units()));
  EXPECT_GE(gathered.readings, 2 * (2 * units - 1));  // a residual's sum may be a moment of its own
  EXPECT_EQ(gathered.reads_done, gathered.readings);
  EXPECT_GT(gathered.progressed, gathered.readings);
}

TEST_P(moved_windows, backward_weights_reads_no_weights) {
  using Kind = Action::Kind;
  const Actions apart = {{Kind::forward, 0, 0}, {Kind::backward_input, 0, 0}, {Kind::backward_weights, 0, 0}};
  test::Problem plain(GetParam().make(), B);
  const std::vector<const Unit<double>*>& units = plain.model.units();
  if (std::any_of(units.begin(), units.end(), [](const auto* unit) { return unit->recomputes(); })) {
    EXPECT_THROW(test::Problem(GetParam().make(), B, kernels::Loss::cross_entropy, apart), UsageError);
    return;
  }
  const double loss = plain.run();
  test::Problem problem(GetParam().make(), B, kernels::Loss::cross_entropy, apart);
  Gathered gathered(problem.model);
  EXPECT_EQ(run(problem, gathered), loss);
  EXPECT_EQ(problem.gradients(), plain.gradients());
}

TEST_P(moved_windows, a_forward_only_pass_announces_too) {
  Model<double> model = GetParam().make();
  const test::Data<double> data(model, B);
  const WholeRows<double> head(kernels::Loss::cross_entropy, model);
  const GradientPass<double> pass(model, divide(B, 1, 0, 1, 0), forward_only(1), head, nullptr);
  kernels::Context context;
  Observer nobody;
  const auto evaluate = [&](Progress& progress, const Window<const double>& weights) {
    const PassResult result{Vector<double>("losses", 1), Vector<index_t>("correct", 1)};
    Call<double> call = model.call(context, nobody, weights);
    call.training = false;
    pass.run(call, data.batch(), progress, result);
    context.exec().fence();
    return test::on_host(result.losses)[0];
  };
  Gathered gathered(model);
  Progress nothing;
  EXPECT_EQ(evaluate(gathered, gathered.weights), evaluate(nothing, {ConstVector<double>(model.parameters())}));
}

// One bucket for all units in turn, and one of its own for a table that two units write.
class Buckets final : public GradientSum<double> {
 public:
  Buckets(const Model<double>& model, index_t pieces)
      : sum_("sum", static_cast<std::size_t>(model.gradient_size())), pieces_(pieces), weights_(model.table().size()) {
    index_t most = 0;
    for (const Unit<double>* unit : model.units()) {
      place_.push_back(hull(unit->ranges()));
      most = std::max(most, place_.back().extent);
    }
    EXPECT_LT(most, weights_);
    bucket_ = Vector<double>("bucket", static_cast<std::size_t>(most));
    for (const Unit<double>* unit : model.units()) {
      if (unit->reads().empty() || !unit->ranges().empty()) continue;
      const Range table = unit->reads()[0];
      shared_ = *std::find_if(place_.begin(), place_.end(), [&](const Range& range) {
        return range.offset <= table.offset && table.end() <= range.end();
      });
      place_[static_cast<std::size_t>(unit->number())] = shared_;
      first_of_shared_ = unit->number();
      shared_bucket_ = Vector<double>("shared", static_cast<std::size_t>(shared_.extent));
    }
  }

  Destination<double> destination(const Exec& exec, index_t, index_t unit) override {
    const Range& place = place_[static_cast<std::size_t>(unit)];
    const bool shared = place == shared_;
    const Vector<double>& bucket = shared ? shared_bucket_ : bucket_;
    if (!shared || unit == first_of_shared_) kernels::fill<double>(exec, nan, bucket);
    current_ = {bucket.data(), place};
    return {current_, kernels::Store::overwrite};
  }
  Destination<double> statistics(index_t piece) override {
    const Window<double> all(sum_);
    const index_t n = static_cast<index_t>(sum_.extent(0)) - weights_;
    return {{all.vector({weights_, n}).data(), {0, n}},
            piece == 0 ? kernels::Store::overwrite : kernels::Store::accumulate};
  }
  bool fold(const Exec& exec, index_t piece, Range range) override {
    if (range.offset >= weights_) return piece + 1 == pieces_;
    const Vector<double> to = Window<double>(sum_).vector(range), from = current_.vector(range);
    if (piece == 0)
      kernels::copy<double>(exec, from, to);
    else
      kernels::add<double>(exec, from, to);
    return true;
  }
  ConstVector<double> weights() const { return Window<const double>(ConstVector<double>(sum_)).vector({0, weights_}); }
  ConstVector<double> statistics() const {
    return Window<const double>(ConstVector<double>(sum_))
        .vector({weights_, static_cast<index_t>(sum_.extent(0)) - weights_});
  }

 private:
  Vector<double> sum_, bucket_, shared_bucket_;
  index_t pieces_, weights_, first_of_shared_ = -1;
  std::vector<Range> place_;  // of the units
  Range shared_;
  Window<double> current_;
};

class BucketExchange final : public Exchange<double> {
 public:
  BucketExchange(ConstVector<double> parameters, const Buckets& buckets) : weights_(parameters), buckets_(buckets) {}
  const Window<const double>& weights(const Exec&, index_t) override { return weights_; }
  void finish(const Exec&, Observer&) override {}
  ConstVector<double> gradients() const override { return buckets_.weights(); }
  ConstVector<double> statistics() const override { return buckets_.statistics(); }
  void ready(const Exec&, Range) override { ++ranges; }

  int ranges = 0;

 private:
  Window<const double> weights_;
  const Buckets& buckets_;
};

// Two micro-batches are summed here piece by piece, as a tree of two leaves does: not inside of a product.
TEST_P(moved_windows, buckets_train_to_the_bits_of_a_flat_gradient) {
  for (const index_t micro_batches : {1, 2}) {
    kernels::Context context;
    Model<double> flat = GetParam().make(), model = GetParam().make();
    const test::Data<double> data(model, B);
    const UpdateOptions options{.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 1};
    SerialStep<double> serial(context, flat, B,
                              {.update = options, .micro_batches = micro_batches, .chunks = micro_batches});
    Buckets buckets(model, micro_batches);
    const WholeRows<double> head(kernels::Loss::cross_entropy, model);
    const GradientPass<double> pass(model, divide(B, 1, 0, micro_batches, 0), in_turn(micro_batches), head, &buckets);
    BucketExchange exchange(model.parameters(), buckets);
    const Update<double> update(context.exec(), options, model);
    TrainStep<double> step(context, pass, exchange, &update);
    const Vector<double> losses("losses", static_cast<std::size_t>(micro_batches));
    const Kokkos::View<double, Memory> norm("norm");
    Observer nobody;
    for (int s = 0; s < 3; ++s) {
      serial.run(data.batch());
      step.run(data.batch(), s, losses, norm, nobody);
      context.exec().fence();
      EXPECT_EQ(test::on_host(losses), test::on_host(serial.losses));
      EXPECT_EQ(test::on_host(norm), test::on_host(serial.norm));
      EXPECT_EQ(test::on_host(exchange.gradients()), test::on_host(serial.gradients()));
      const std::vector<double> got = test::on_host(model.running()), expected = test::on_host(flat.running());
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_DOUBLE_EQ(got[i], expected[i]);  // a chain, or a tree
    }
    EXPECT_EQ(test::on_host(model.parameters()), test::on_host(flat.parameters()));
    EXPECT_GT(exchange.ranges, 3 * micro_batches);
  }
}

INSTANTIATE_TEST_SUITE_P(
    models, moved_windows,
    ::testing::Values(
        Case{"mlp",
             [] {
               return make_mlp<double>({9, {8, 5}, 4, kernels::Activation::tanh});
             }},
        Case{"gpt",
             [] {
               return make_gpt<double>({.V = 11, .T = 5, .C = 12, .H = 3, .blocks = 2, .tied = true, .dropout = 0.2});
             }},
        Case{"gpt_rms",
             [] { return make_gpt<double>({.V = 7, .T = 4, .C = 8, .H = 2, .blocks = 1, .rms_norm = true}); }},
        Case{"gpt_recomputed",
             [] {
               return make_gpt<double>({.V = 11,
                                        .T = 5,
                                        .C = 12,
                                        .H = 3,
                                        .blocks = 2,
                                        .tied = true,
                                        .dropout = 0.2,
                                        .recompute = Recompute::block});
             }},
        Case{"vgg_recomputed",
             [] {
               return make_cnn<double>(
                   {.kind = CnnKind::vgg, .rows = 7, .columns = 6, .width = {3, 4}, .recompute = Recompute::block});
             }},
        Case{"resnet",
             [] {
               return make_cnn<double>({.rows = 7, .columns = 6, .width = {3, 4}, .depth = 1});
             }},
        Case{"groupnorm",
             [] { return make_cnn<double>({.rows = 7, .columns = 6, .width = {4}, .depth = 1, .groups = 2}); }}),
    [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace partita::nn::moved_windows_tests
