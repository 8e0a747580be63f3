// SPDX-License-Identifier: BSD-3-Clause
#include <limits>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/norm_cells.hpp>
#include <partita/nn/update.hpp>

// Weights that are given from outside: an update takes what it owns of them, and its master weights are not rounded.

namespace partita::nn::set_weights_tests {
namespace {

template <class T>
std::vector<float> on_host(const Vector<T>& values) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return {host.data(), host.data() + host.extent(0)};
}

// Norm cells are tensors: weight (12), bias (3), weight (6), bias (2). Owned: the first bias, and the second layer.
TEST(set_weights, reaches_what_is_owned_wherever_it_lies) {
  const Exec exec;
  const Model<bfloat16> model = make_mlp<bfloat16>({4, {3}, 2, kernels::Activation::relu});
  ASSERT_EQ(model.table().size(), 23);
  const std::vector<Range> owned = {{12, 3}, {15, 8}};
  const Vector<bfloat16> packed("packed", 11);
  const Update<bfloat16> update(exec, {}, model,
                                {.ranges = owned, .gradients = Layout::packed, .weights = Layout::packed}, packed);
  const Range given{10, 9};  // two of the first weight, the bias, four of the second weight
  const Vector<float> values("values", 9);
  const auto host = Kokkos::create_mirror_view(values);
  for (std::size_t i = 0; i < 9; ++i) host(i) = 1.001F + static_cast<float>(i);
  Kokkos::deep_copy(values, host);
  const std::vector<float> before = on_host(update.master());
  update.set(exec, Kept::weights, given, values);
  exec.fence();

  const std::vector<float> master = on_host(update.master()), weights = on_host(packed);
  for (std::size_t i = 0; i < 11; ++i) {
    const float expected = i < 7 ? 1.001F + static_cast<float>(i + 2) : before[i];
    EXPECT_EQ(master[i], expected) << i;
    if (i < 7) {
      EXPECT_EQ(weights[i], static_cast<float>(bfloat16(expected))) << i;
      EXPECT_NE(weights[i], expected) << i;
    }
  }
  EXPECT_THROW(update.set(exec, Kept::weights, {0, 8}, values), ShapeError);
  EXPECT_EQ(update.get(exec, Kept::weights, {0, 23}), on_host(update.master()));
  EXPECT_EQ(update.get(exec, Kept::weights, given), std::vector<float>(master.begin(), master.begin() + 7));
}

// What a checkpoint keeps beside weights comes and goes as they do.
TEST(set_weights, buffers_of_the_rule_and_counters_too) {
  const Exec exec;
  const Model<float> model = make_mlp<float>({4, {3}, 2, kernels::Activation::relu});
  UpdateOptions options;
  options.optimizer.kind = kernels::Optimizer::adagrad;
  const Update<float> update(exec, options, model);
  EXPECT_FALSE(update.keeps(Kept::m));
  ASSERT_TRUE(update.keeps(Kept::v) && update.keeps(Kept::weights));
  const Vector<float> values("values", 3);
  Kokkos::deep_copy(values, 0.25F);
  update.set(exec, Kept::v, {12, 3}, values);
  EXPECT_EQ(update.get(exec, Kept::v, {11, 5}), (std::vector<float>{0, 0.25F, 0.25F, 0.25F, 0}));
  const std::vector<float> weights = on_host(model.parameters());
  EXPECT_EQ(update.get(exec, Kept::weights, {12, 3}), std::vector<float>(weights.begin() + 12, weights.begin() + 15));
  update.set_counters(exec, {.step = 5, .loss_scale = {8, 3, 2}});
  const UpdateCounters counters = update.counters(exec);
  EXPECT_EQ(counters.step, 5);
  EXPECT_EQ(counters.loss_scale.scale, 8);
  EXPECT_EQ(counters.loss_scale.good_steps, 3);
  EXPECT_EQ(counters.loss_scale.skipped, 2);
}

// A gradient that is not finite: the first tensor of the first bad step is known, and a step may be skipped.
TEST(set_weights, a_bad_gradient_is_named_and_skipped_if_asked) {
  for (const NotFinite policy : {NotFinite::stop, NotFinite::skip}) {
    kernels::Context context(Exec{});
    const Exec& exec = context.exec();
    const Model<float> model = make_mlp<float>({4, {3}, 2, kernels::Activation::relu});
    UpdateOptions options;
    options.not_finite = policy;
    const Update<float> update(exec, options, model);
    const Vector<float> gradients("gradients", 23);
    const Kokkos::View<double, Memory> norm("norm");
    const auto step = [&](index_t bad) {
      Kokkos::deep_copy(gradients, 0.5F);
      if (bad >= 0) Kokkos::deep_copy(Kokkos::subview(gradients, bad), std::numeric_limits<float>::infinity());
      update.run(context, gradients, {}, norm);
      exec.fence();
    };
    step(-1);
    EXPECT_EQ(update.not_finite(exec), -1);
    const std::vector<float> before = on_host(model.parameters());
    step(13);
    EXPECT_EQ(tensor_of_cell(model.table(), update.not_finite(exec)).name, "linear0.bias");
    EXPECT_EQ(on_host(model.parameters()) == before, policy == NotFinite::skip);
    EXPECT_EQ(update.counters(exec).loss_scale.skipped, policy == NotFinite::skip ? 1 : 0);
    step(0);
    EXPECT_EQ(tensor_of_cell(model.table(), update.not_finite(exec)).name, "linear0.bias");  // still the first one
    if (policy == NotFinite::stop) continue;
    step(-1);
    EXPECT_NE(on_host(model.parameters()), before);
    EXPECT_EQ(update.counters(exec).step, 2);
  }
}

}  // namespace
}  // namespace partita::nn::set_weights_tests
