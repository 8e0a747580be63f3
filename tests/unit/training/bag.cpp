// SPDX-License-Identifier: BSD-3-Clause
// A model of bags learns what bags are made of.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <partita/data/bag.hpp>
#include <partita/nn/bag.hpp>
#include <partita/nn/serial_step.hpp>

namespace partita::training::bag_tests {
namespace {

// Mean losses of the steps, on batches of fresh samples.
std::vector<double> losses(double noise) {
  constexpr index_t B = 64, classes = 4;
  const data::Bags bags(
      {.seed = 3, .V = 500, .T = 12, .classes = classes, .ranks = 200, .exponent = 1, .noise = noise});
  const data::Sampler sampler(1, 100 * B, B);
  kernels::Context context;
  nn::Model<float> model = nn::make_bag<float>({.V = 500, .T = 12, .C = 16, .hidden = {32}, .classes = classes});
  nn::SerialStep<float> step(context, model, B,
                             {.update = {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01}});
  const Matrix<std::int32_t> tokens("partita::test::tokens", B, 12);
  const Vector<std::int32_t> label("partita::test::label", B);
  std::vector<double> means;
  for (index_t s = 0; s < 100; ++s) {
    data::bag_batch(context.exec(), bags, sampler, s, whole(B), tokens, label);
    step.run({{}, tokens, label});
    context.exec().fence();
    const auto sum = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, step.losses);
    means.push_back(sum(0) / static_cast<double>(B));
  }
  return means;
}

double last(const std::vector<double>& all) {
  double sum = 0;
  for (std::size_t s = all.size() - 10; s < all.size(); ++s) sum += all[s] / 10;
  return sum;
}

TEST(bag, its_model_gets_well_below_chance) { EXPECT_LT(last(losses(0.5)), 0.5 * std::log(4.0)); }

// Keys of the common law alone say nothing of the class: fresh samples stay at chance.
TEST(bag, there_is_nothing_to_learn_from_noise_alone) { EXPECT_GT(last(losses(1.0)), 0.95 * std::log(4.0)); }

}  // namespace
}  // namespace partita::training::bag_tests
