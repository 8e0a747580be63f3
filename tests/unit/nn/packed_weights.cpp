// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/nn/cnn.hpp>

#include "problem.hpp"

// A step packs the weights for its library once, however many micro-batches it has, and reads them as they are: the
// bits of steps that pack in each call.

namespace partita::nn::packed_weights_tests {
namespace {

constexpr index_t B = 8;

// Says nothing of its weights, so that nothing is kept.
class Packing final : public Exchange<float> {
 public:
  Packing(ConstVector<float> parameters, const FlatGradientSum<float>& sum) : weights_(parameters), sum_(sum) {}
  const Window<const float>& weights(const Exec&, index_t) override { return weights_; }
  void finish(const Exec&, Observer&) override {}
  ConstVector<float> gradients() const override { return sum_.weights_of(sum_.node(0)); }
  ConstVector<float> statistics() const override { return sum_.statistics_of(sum_.node(0)); }

 private:
  Window<const float> weights_;
  const FlatGradientSum<float>& sum_;
};

// As SerialStep, with the exchange that it is given.
template <class SomeExchange>
class Training {
 public:
  Training(kernels::Context& of, const CnnShape& shape, index_t micro_batches, std::uint64_t seed = 1)
      : context(of),
        model(make_cnn<float>(shape, {.seed = seed})),
        data(model, B),
        division_(divide(B, 1, 0, micro_batches, 0)),
        sum_(model.table().size(), model.statistics_table().size(), division_),
        head_(kernels::Loss::cross_entropy, model),
        pass_(model, division_, in_turn(micro_batches), head_, &sum_),
        evaluation_(model, divide(B, 1, 0, 1, 0), forward_only(1), head_, nullptr),
        exchange_(model.parameters(), sum_),
        update_(of.exec(), {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.1}, model),
        step_(of, pass_, exchange_, &update_),
        losses_("losses", static_cast<std::size_t>(micro_batches)) {}

  /// How often weights were packed in it.
  index_t step() {
    Observer nobody;
    const index_t before = context.packed_weights().packed();
    step_.run(data.batch(), steps_++, losses_, norm_, nobody);
    return context.packed_weights().packed() - before;
  }
  double evaluate() {
    Observer nobody;
    const PassResult result{Vector<double>("loss", 1), Vector<index_t>("correct", 1)};
    Call<float> call = model.call(context, nobody, exchange_.weights(context.exec(), steps_));
    call.training = false;
    evaluation_.run(call, data.batch(), exchange_, result);
    context.exec().fence();
    return test::on_host(result.losses)[0];
  }
  void set_weights(float value) {
    const Range all{0, model.table().size()};
    const Vector<float> values("values", static_cast<std::size_t>(all.extent));
    test::filled(values, [&](std::size_t i) { return value * static_cast<float>(i % 7); });
    update_.set(context.exec(), Kept::weights, all, values);
    context.exec().fence();
  }
  std::vector<float> weights() const {
    context.exec().fence();
    return test::on_host(model.parameters());
  }

  kernels::Context& context;
  Model<float> model;
  test::Data<float> data;

 private:
  Division division_;
  FlatGradientSum<float> sum_;
  WholeRows<float> head_;
  GradientPass<float> pass_, evaluation_;
  SomeExchange exchange_;
  Update<float> update_;
  TrainStep<float> step_;
  Vector<double> losses_;
  Kokkos::View<double, Memory> norm_{"norm"};
  index_t steps_ = 0;
};

using Kept = Training<NoExchange<float>>;
using Each = Training<Packing>;

const CnnShape resnet{.rows = 8, .columns = 8, .width = {8, 16}, .depth = 1};
const CnnShape vgg{.kind = CnnKind::vgg, .rows = 8, .columns = 8, .width = {8, 16}};
const CnnShape recomputed{.rows = 8, .columns = 8, .width = {8, 16}, .depth = 1, .recompute = Recompute::block};

TEST(packed_weights, micro_batches_pack_as_often_as_one) {
  for (const CnnShape& shape : {resnet, vgg, recomputed}) {
    kernels::Context context;
    Each each(context, shape, 1), four(context, shape, 4);
    const index_t calls = each.step();  // that want a layout of the library's
    EXPECT_EQ(calls > 0, kernels::math_backend_name().starts_with("oneDNN"));
    EXPECT_EQ(four.step(), 4 * calls);
    const index_t once = Kept(context, shape, 1).step();
    EXPECT_EQ(once > 0, calls > 0);
    EXPECT_LE(once, calls);  // what is recomputed reads its weights twice
    for (const index_t micro_batches : {1, 2, 4}) {
      Kept kept(context, shape, micro_batches);
      for (int s = 0; s < 3; ++s) EXPECT_EQ(kept.step(), once) << micro_batches;
    }
  }
}

TEST(packed_weights, steps_read_updated_and_given_weights_as_evaluation_does) {
  for (const CnnShape& shape : {resnet, vgg, recomputed})
    for (const index_t micro_batches : {1, 4}) {
      kernels::Context context, other;
      Kept kept(context, shape, micro_batches);
      Each each(other, shape, micro_batches);
      for (int s = 0; s < 4; ++s) {
        if (s == 2) kept.set_weights(0.01F), each.set_weights(0.01F);
        kept.step(), each.step();
        EXPECT_EQ(kept.weights(), each.weights()) << "step " << s;
        EXPECT_EQ(kept.evaluate(), each.evaluate()) << "step " << s;
      }
    }
}

TEST(packed_weights, models_share_a_context) {
  kernels::Context context, other;
  Kept a(context, resnet, 2, 1), b(context, resnet, 2, 2);
  Each alone_a(other, resnet, 2, 1), alone_b(other, resnet, 2, 2);
  for (int s = 0; s < 3; ++s) {
    a.step(), b.step(), alone_a.step(), alone_b.step();
    EXPECT_EQ(a.evaluate(), alone_a.evaluate());
    EXPECT_EQ(b.evaluate(), alone_b.evaluate());
  }
  EXPECT_EQ(a.weights(), alone_a.weights());
  EXPECT_EQ(b.weights(), alone_b.weights());
  EXPECT_NE(a.weights(), b.weights());
}

}  // namespace
}  // namespace partita::nn::packed_weights_tests
