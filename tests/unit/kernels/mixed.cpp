// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/loss.hpp>
#include <partita/kernels/loss_scale.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/kernels/statistics.hpp>

#include "squared_norm.hpp"

// Training in 16 bits: gradients summed in float, master weights, a loss scale and clipping in device memory.

namespace partita::kernels::test::mixed_tests {
namespace {

constexpr OptimizerOptions rules[] = {{.kind = Optimizer::sgd},
                                      {.kind = Optimizer::sgd, .momentum = 0.9, .weight_decay = 0.1},
                                      {.kind = Optimizer::adagrad},
                                      {.kind = Optimizer::adam, .weight_decay = 0.01},
                                      {.kind = Optimizer::adamw, .weight_decay = 0.1}};

/// Master weights and buffers of one training, with or without a copy of Storage.
struct Master {
  OptimizerOptions options;
  OptimizerStateView state{"state"};
  Vector<float> p, m, v;

  Master(const OptimizerOptions& given, const std::vector<float>& start)
      : options(given), p(to_device(start)), m("m", start.size()), v("v", start.size()) {
    optimizer_set_learning_rate(Exec(), 0.05, state);
  }
  std::vector<float> all() const {
    std::vector<float> values;
    for (const auto& buffer : {p, m, v})
      for (float value : to_host(buffer)) values.push_back(value);
    return values;
  }
};

template <class Storage>
class mixed : public ::testing::Test {};
using Storages = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(mixed, Storages);

TYPED_TEST(mixed, update_is_that_of_float_and_the_copy_is_rounded) {
  using Storage = TypeParam;
  for (index_t n : {0, 1, 3, 17, 33, 4095, 4096, 4097}) {
    const auto start = random_values<float>(1, n);
    const std::vector<float> gradients[] = {random_values<float>(2, n), random_values<float>(3, n)};
    for (const OptimizerOptions& options : rules) {
      Master wide(options, start);
      for (const auto& g : gradients) {
        optimizer_advance(Exec(), options, wide.state);
        optimizer_update(Exec(), options, wide.state, to_device(g), wide.p, wide.m, wide.v);
      }
      Kokkos::fence();
      std::vector<Storage> rounded;
      for (float value : to_host(wide.p)) rounded.push_back(Storage(value));
      for (const Exec& exec : instances()) {
        const index_t offset = n % 4;
        Master narrow(options, start);
        const auto copy = to_device(std::vector<Storage>(n), offset);
        for (const auto& g : gradients) {
          optimizer_advance(exec, options, narrow.state);
          optimizer_update(exec, options, narrow.state, to_device(g, offset), narrow.p, narrow.m, narrow.v, copy);
        }
        exec.fence();
        EXPECT_TRUE(same_bits(narrow.all(), wide.all())) << name(options.kind) << " n " << n;
        EXPECT_TRUE(same_bits(to_host(copy), rounded)) << name(options.kind) << " n " << n;
      }
    }
  }
}

/// Powers of two as scales: dividing them out is exact, so the training is the one without a scale.
TYPED_TEST(mixed, a_scaled_gradient_gives_the_unscaled_step) {
  using Storage = TypeParam;
  constexpr index_t n = 40;
  for (const OptimizerOptions& options : rules) {
    const auto start = random_values<float>(1, n);
    const auto g = random_values<float>(2, n);
    std::vector<float> scaled;
    for (float value : g) scaled.push_back(value * 256);
    Master with(options, start), without(options, start);
    const Vector<Storage> copy("copy", n);
    const LossScaleOptions scale{.initial = 256};
    const LossScaleView scaling("scaling");
    loss_scale_start(Exec(), scale, scaling);
    loss_scale_update(Exec(), scale, squared_norm(to_device(scaled)), scaling, with.state);
    optimizer_advance(Exec(), options, with.state);
    optimizer_advance(Exec(), options, without.state);
    optimizer_update(Exec(), options, with.state, to_device(scaled), with.p, with.m, with.v, copy);
    optimizer_update(Exec(), options, without.state, to_device(g), without.p, without.m, without.v, copy);
    Kokkos::fence();
    EXPECT_TRUE(same_bits(with.all(), without.all())) << name(options.kind);
  }
}

TEST(mixed_skip, a_step_whose_gradient_overflowed_changes_nothing_and_halves_the_scale) {
  constexpr index_t n = 9;
  for (const OptimizerOptions& options : rules)
    for (float bad : {HUGE_VALF, -HUGE_VALF, std::nanf("")}) {
      Master master(options, random_values<float>(1, n));
      auto g = random_values<float>(2, n);
      g[5] = bad;
      const LossScaleView scaling("scaling");
      const auto copy = to_device(random_values<float16>(3, n));
      const auto running = to_device(random_values<float>(4, n));
      optimizer_advance(Exec(), options, master.state);
      Kokkos::fence();
      const auto before = master.all();
      const OptimizerState state = to_host(master.state)[0];
      loss_scale_start(Exec(), {}, scaling);
      const auto sum = squared_norm(to_device(g));
      loss_scale_update(Exec(), {}, sum, scaling, master.state);
      optimizer_clip(Exec(), 1.0, sum, master.state);
      optimizer_advance(Exec(), options, master.state);
      optimizer_update(Exec(), options, master.state, to_device(g), master.p, master.m, master.v, copy);
      statistics_update<float>(Exec(), 0.1, master.state, to_device(g), running);
      Kokkos::fence();
      EXPECT_TRUE(same_bits(master.all(), before)) << name(options.kind);
      EXPECT_TRUE(same_bits(to_host(copy), random_values<float16>(3, n)));
      EXPECT_TRUE(same_bits(to_host(running), random_values<float>(4, n)));
      const OptimizerState after = to_host(master.state)[0];
      EXPECT_EQ(after.step, 1);
      EXPECT_EQ(after.learning_rate, state.learning_rate);
      EXPECT_EQ(after.first_correction, state.first_correction);
      EXPECT_EQ(after.second_correction, state.second_correction);
      EXPECT_EQ(after.clip, 1);
      EXPECT_EQ(to_host(scaling)[0].scale, 32768);
      EXPECT_EQ(to_host(scaling)[0].skipped, 1);
    }
}

/// good, good, good (grows), bad (halves), good, good: torch.amp.GradScaler with growth_interval = 3.
TEST(mixed_scale, grows_after_good_steps_and_backs_off_after_a_bad_one) {
  const LossScaleOptions options{.initial = 8, .growth_factor = 2, .backoff_factor = 0.5, .growth_interval = 3};
  const LossScaleView scaling("scaling");
  const OptimizerStateView state("state");
  const Kokkos::View<double, Memory> sum("sum");
  loss_scale_start(Exec(), options, scaling);
  const double sums[] = {1, 1, 1, HUGE_VAL, 1, 1, 1};
  const double scales[] = {8, 8, 16, 8, 8, 8, 16}, in_force[] = {8, 8, 8, 16, 8, 8, 8};
  for (int step = 0; step < 7; ++step) {
    Kokkos::deep_copy(sum, sums[step]);
    loss_scale_update(Exec(), options, sum, scaling, state);
    Kokkos::fence();
    EXPECT_EQ(to_host(scaling)[0].scale, scales[step]) << step;
    EXPECT_EQ(to_host(state)[0].unscale, 1 / in_force[step]) << step;
    EXPECT_EQ(to_host(state)[0].skip, step == 3) << step;
  }
}

TEST(mixed_scale, stays_where_a_float_could_not_hold_more) {
  const LossScaleOptions options{.initial = 0x1p127, .growth_interval = 1};
  const LossScaleView scaling("scaling");
  const Kokkos::View<double, Memory> sum("sum");
  loss_scale_start(Exec(), options, scaling);
  loss_scale_update(Exec(), options, sum, scaling, OptimizerStateView("state"));
  Kokkos::fence();
  EXPECT_EQ(to_host(scaling)[0].scale, 0x1p127);
}

TEST(mixed_scale, multiplies_the_gradient_of_the_loss) {
  Context context;
  const LossScaleView scaling("scaling");
  loss_scale_start(Exec(), {.initial = 1024}, scaling);
  const Placed<float> logits(random_values<float>(1, 50), 5, 10), scaled(5, 10), plain(5, 10);
  const auto label = to_device(std::vector<std::int32_t>{1, 2, 3, 4, 5});
  const Kokkos::View<double, Memory> sum("sum");
  for (Loss kind : {Loss::cross_entropy, Loss::mse}) {
    loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 0.5, scaled.matrix(), sum,
                          loss_scale_value(scaling));
    loss_forward_backward(context, {.kind = kind}, logits.matrix(), label, 512, plain.matrix(), sum);
    Kokkos::fence();
    EXPECT_TRUE(same_bits(scaled.values(), plain.values()));
  }
}

TEST(mixed_clip, the_optimizers_clip_is_that_of_clip_by_norm) {
  constexpr index_t n = 100;
  for (double max_norm : {0.5, 1e6}) {
    const auto g = random_values<double>(2, n);
    const OptimizerStateView state("state"), plain("plain");
    optimizer_set_learning_rate(Exec(), 0.1, state);
    optimizer_set_learning_rate(Exec(), 0.1, plain);
    const auto in_rule = to_device(g), clipped = to_device(g), p1 = to_device(g), p2 = to_device(g);
    const Vector<double> none;
    const auto sum = squared_norm(in_rule);
    optimizer_clip(Exec(), max_norm, sum, state);
    clip_by_norm<double>(Exec(), max_norm, sum, clipped);
    optimizer_update(Exec(), {}, state, in_rule, p1, none, none);
    optimizer_update(Exec(), {}, plain, clipped, p2, none, none);
    Kokkos::fence();
    EXPECT_TRUE(same_bits(to_host(p1), to_host(p2)));
    EXPECT_EQ(to_host(state)[0].clip < 1, max_norm < 1);
  }
}

/// Without a loss scale nothing is skipped: what is not finite reaches the weights, where it is seen.
TEST(mixed_clip, a_gradient_that_is_not_finite_shows_where_nothing_skips) {
  Master master({}, {1, 2, 3});
  const auto g = to_device(std::vector<float>{1, std::nanf(""), 1});
  optimizer_clip(Exec(), 1.0, squared_norm(g), master.state);
  optimizer_update(Exec(), {}, master.state, g, master.p, master.m, master.v, Vector<bfloat16>("copy", 3));
  Kokkos::fence();
  for (float value : to_host(master.p)) EXPECT_TRUE(std::isnan(value));
}

TEST(mixed_norm, is_the_gradients_length_without_the_scale_and_shows_what_is_not_finite) {
  const LossScaleView scaling("scaling");
  const OptimizerStateView state("state");
  const Kokkos::View<double, Memory> norm("norm");
  for (float scale : {1.0f, 1024.0f})
    for (float third : {12.0f, HUGE_VALF, std::nanf("")}) {
      const auto sum = squared_norm(to_device(std::vector<float>{3 * scale, 4 * scale, third * scale}));
      loss_scale_start(Exec(), {.initial = scale}, scaling);
      loss_scale_update(Exec(), {}, sum, scaling, state);
      optimizer_clip(Exec(), 1.0, sum, state);
      gradient_norm(Exec(), sum, state, norm);
      Kokkos::fence();
      const double expected = third == 12.0f ? 13.0 : double(third);
      EXPECT_TRUE(same_bits(to_host(norm), {expected})) << scale;
    }
}

TEST(mixed_norm, is_that_of_an_unscaled_gradient_without_a_state) {
  const LossScaleView scaling("scaling");
  const OptimizerStateView state("state");
  const Kokkos::View<double, Memory> norm("norm");
  const auto g = to_device(std::vector<float>{3 * 1024, 4 * 1024, 12 * 1024});
  loss_scale_start(Exec(), {.initial = 1024}, scaling);
  loss_scale_update(Exec(), {}, squared_norm(g), scaling, state);
  unscale_gradient<float>(Exec(), 0.5, state, g);
  gradient_norm(Exec(), squared_norm(g), {}, norm);
  Kokkos::fence();
  EXPECT_TRUE(same_bits(to_host(g), {1.5F, 2.0F, 6.0F}));
  EXPECT_TRUE(same_bits(to_host(norm), {6.5}));
}

}  // namespace
}  // namespace partita::kernels::test::mixed_tests
