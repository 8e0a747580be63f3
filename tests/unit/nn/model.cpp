// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cmath>
#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/units/linear.hpp>
#include <tuple>
#include <vector>

namespace partita::nn {
namespace {

using kernels::Activation;
using kernels::Loss;

// A small MLP on random data in double, where finite differences are sharp.
struct Problem {
  Problem(Activation activation, index_t B)
      : model(make_mlp<double>({7, {5, 4}, 3, activation}, 11)), x("x", B, 7), label("label", B) {
    model.plan(B);
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_label = Kokkos::create_mirror_view(label);
    for (index_t b = 0; b < B; ++b) {
      for (index_t k = 0; k < 7; ++k) host_x(b, k) = normal(5, Stream::test, static_cast<std::uint64_t>(b * 7 + k));
      host_label(b) = static_cast<std::int32_t>(b % 3);
    }
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(label, host_label);
  }

  double loss(Loss kind) {
    const ConstMatrix<double> scores = model.forward(model.call(context), 0, x, observer);
    kernels::loss_forward_backward<double>(context, kind, scores, label, 1,
                                           model.output_gradient(0, static_cast<index_t>(x.extent(0))), sum);
    double value = 0;
    Kokkos::deep_copy(value, sum);
    return value;
  }

  Model<double> model;
  kernels::Context context;
  Observer observer;
  Matrix<double> x;
  Vector<std::int32_t> label;
  Kokkos::View<double, Memory> sum{"sum"};
};

class model_gradient : public ::testing::TestWithParam<std::tuple<Activation, Loss>> {};

TEST_P(model_gradient, agrees_with_central_differences_for_every_parameter) {
  const auto [activation, loss] = GetParam();
  Problem problem(activation, 6);
  problem.loss(loss);
  problem.model.backward(problem.model.call(problem.context), 0, problem.x, problem.model.gradients(),
                         problem.observer);
  const auto gradient = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), problem.model.gradients());
  const auto w = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), problem.model.parameters());

  // Central differences err by h^2 f'''/6 and by eps f / h: both about 1e-10 of a loss of order 10 here.
  constexpr double h = 1e-5;
  constexpr double tolerance = 1e-8;
  for (std::size_t i = 0; i < w.extent(0); ++i) {
    const double centre = w(i);
    w(i) = centre + h;
    Kokkos::deep_copy(problem.model.parameters(), w);
    const double above = problem.loss(loss);
    w(i) = centre - h;
    Kokkos::deep_copy(problem.model.parameters(), w);
    const double below = problem.loss(loss);
    w(i) = centre;
    EXPECT_NEAR(gradient(i), (above - below) / (2 * h), tolerance * std::max(1.0, std::abs(gradient(i))))
        << "parameter " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(smooth, model_gradient,
                         ::testing::Combine(::testing::Values(Activation::tanh, Activation::sigmoid),
                                            ::testing::Values(Loss::cross_entropy, Loss::mse)));

// relu has no derivative at 0; no pre-activation of this seed is within h of it.
INSTANTIATE_TEST_SUITE_P(relu, model_gradient,
                         ::testing::Combine(::testing::Values(Activation::relu),
                                            ::testing::Values(Loss::cross_entropy)));

std::vector<double> scores(Problem& problem, ConstMatrix<double> x) {
  const auto host = Kokkos::create_mirror_view_and_copy(
      Kokkos::HostSpace(), problem.model.forward(problem.model.call(problem.context), 0, x, problem.observer));
  return {host.data(), host.data() + host.size()};
}

TEST(model, fewer_rows_than_planned_give_the_rows_of_the_full_batch) {
  Problem problem(Activation::tanh, 9);
  const std::vector<double> full = scores(problem, problem.x);
  const std::vector<double> some = scores(problem, {problem.x.data() + 2 * 7, 4, 7});
  EXPECT_EQ(some, std::vector<double>(full.begin() + 2 * 3, full.begin() + 6 * 3));
}

TEST(model, more_rows_than_planned_are_refused) {
  Problem problem(Activation::tanh, 3);
  problem.model.plan(2);
  EXPECT_THROW(problem.model.forward(problem.model.call(problem.context), 0, problem.x, problem.observer), ShapeError);
}

TEST(model, units_must_fit_each_other) {
  Tables tables;
  Units<float> units;
  units.push_back(
      std::make_unique<Linear<float>>(tables.parameters, "first", 3, 4, LinearOptions{.activation = Activation::relu}));
  units.push_back(std::make_unique<Linear<float>>(tables.parameters, "second", 5, 2, LinearOptions{}));
  EXPECT_THROW(Model<float>(std::move(tables), std::move(units), 1), ShapeError);
}

TEST(model, counts_parameters_and_flop) {
  const Model<float> model = make_mlp<float>({784, {512, 256}, 10, Activation::relu}, 1);
  EXPECT_EQ(model.table().size(), 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10);
  const double products = 2.0 * 32 * (784 * 512 + 512 * 256 + 256 * 10);
  EXPECT_GE(model.forward_flop(32), products);
  EXPECT_LT(model.forward_flop(32), 1.01 * products);
  // dW of every layer and dx of all but the first.
  EXPECT_GE(model.backward_flop(32), 2 * products - 2.0 * 32 * 784 * 512);
  EXPECT_LT(model.backward_flop(32), 1.01 * (2 * products - 2.0 * 32 * 784 * 512));
}

// What the observer of a three-unit model hears.
struct Listener final : Observer {
  void before(index_t unit, Pass pass, index_t, const Exec&) override { heard.emplace_back(unit, pass); }
  void after(index_t, Pass pass, index_t, std::span<const Range> final, const Exec&) override {
    if (pass != Pass::backward_weights) {
      EXPECT_TRUE(final.empty());
    }
    for (const Range& range : final) finished += range.extent;
  }
  std::vector<std::pair<index_t, Pass>> heard;
  index_t finished = 0;
};

TEST(model, observer_hears_every_pass_in_order_and_every_gradient_once) {
  Problem problem(Activation::tanh, 2);
  Listener listener;
  problem.model.forward(problem.model.call(problem.context), 0, problem.x, listener);
  problem.model.backward(problem.model.call(problem.context), 0, problem.x, problem.model.gradients(), listener);
  const std::vector<std::pair<index_t, Pass>> expected = {
      {0, Pass::forward},          {1, Pass::forward},          {2, Pass::forward},
      {2, Pass::backward_input},   {2, Pass::backward_weights}, {1, Pass::backward_input},
      {1, Pass::backward_weights}, {0, Pass::backward_input},   {0, Pass::backward_weights}};
  EXPECT_EQ(listener.heard, expected);
  EXPECT_EQ(listener.finished, problem.model.table().size());
}

}  // namespace
}  // namespace partita::nn
