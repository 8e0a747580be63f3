// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include <partita/core/error.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::optimizer_tests {
namespace {

/// A step is some ten roundings of numbers not larger than the parameter and its change.
constexpr double step_error = 16;  // units of roundoff of the largest parameter value so far, a step

nlohmann::json stored() {
  std::ifstream file("tests/unit/kernels/data/optimizer_cases.json");  // tests run in the project's root
  EXPECT_TRUE(file.good());
  return nlohmann::json::parse(file);
}

OptimizerOptions options_of(const nlohmann::json& c) {
  OptimizerOptions options;
  for (Optimizer kind : {Optimizer::sgd, Optimizer::adagrad, Optimizer::adam, Optimizer::adamw})
    if (c["kind"] == name(kind)) options.kind = kind;
  options.momentum = c.value("momentum", 0.0);
  options.beta1 = c.value("beta1", options.beta1);
  options.beta2 = c.value("beta2", options.beta2);
  options.epsilon = c.value("epsilon", options.epsilon);
  options.weight_decay = c.value("weight_decay", 0.0);
  return options;
}

/// Parameters, buffers and state of a small training.
template <class Scalar>
struct Trained {
  OptimizerOptions options;
  OptimizerStateView state{"state"};
  Vector<Scalar> p, m, v;

  Trained(const OptimizerOptions& given, double rate, const std::vector<Scalar>& start) : options(given) {
    p = to_device(start);
    if (optimizer_needs_m(options)) m = Vector<Scalar>("m", start.size());
    if (optimizer_needs_v(options)) v = Vector<Scalar>("v", start.size());
    optimizer_set_learning_rate(Exec(), rate, state);
  }
  void step(const std::vector<Scalar>& g) {
    optimizer_advance(Exec(), options, state);
    optimizer_update(Exec(), options, state, to_device(g), p, m, v);
    Kokkos::fence();
  }
};

template <class Scalar>
class optimizer : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(optimizer, Scalars);

TYPED_TEST(optimizer, stored_pytorch_steps_are_reproduced) {
  using Scalar = TypeParam;
  const nlohmann::json document = stored();
  const char* const after = std::is_same_v<Scalar, float> ? "after_float32" : "after_float64";
  ASSERT_EQ(document["cases"].size(), 10u);
  for (const auto& c : document["cases"]) {
    SCOPED_TRACE(c["kind"].dump() + " " + c["learning_rate"].dump());
    const auto start = c["start"].get<std::vector<Scalar>>();
    Trained<Scalar> trained(options_of(c), c["learning_rate"], start);
    std::vector<double> largest(start.size());
    for (std::size_t i = 0; i < start.size(); ++i) largest[i] = std::abs(double(start[i]));
    for (std::size_t step = 0; step < c[after].size(); ++step) {
      trained.step(document["gradients"][step].get<std::vector<Scalar>>());
      const auto expected = c[after][step].get<std::vector<Scalar>>();
      std::vector<double> bound(start.size());
      for (std::size_t i = 0; i < start.size(); ++i) {
        largest[i] = std::max(largest[i], std::abs(double(expected[i])));
        bound[i] = step_error * double(step + 1) * unit_roundoff<Scalar> * largest[i];
      }
      EXPECT_TRUE(within(to_host(trained.p), expected, bound)) << "step " << step + 1;
    }
  }
}

TYPED_TEST(optimizer, agrees_with_the_reference_at_any_length) {
  using Scalar = TypeParam;
  for (OptimizerOptions options : {OptimizerOptions{.kind = Optimizer::sgd, .momentum = 0.9, .weight_decay = 0.1},
                                   OptimizerOptions{.kind = Optimizer::adagrad, .epsilon = 1e-6},
                                   OptimizerOptions{.kind = Optimizer::adam, .weight_decay = 0.01},
                                   OptimizerOptions{.kind = Optimizer::adamw, .weight_decay = 0.3}})
    for (index_t n : {0, 1, 3, 17, 33, 4097}) {
      const double rate = 0.03;
      auto p = random_values<Scalar>(1, n);
      Trained<Scalar> trained(options, rate, p);
      std::vector<Scalar> m(n), v(n);
      std::vector<double> bound(n);
      for (index_t step = 1; step <= 3; ++step) {
        const auto g = random_values<Scalar>(std::uint64_t(step), n);
        trained.step(g);
        for (index_t i = 0; i < n; ++i) {
          const double before = std::abs(double(p[i]));
          reference::optimizer_update(options, rate, step, g[i], p[i], m[i], v[i]);
          bound[i] +=
              step_error * unit_roundoff<Scalar> * (before + rate * (1 + std::abs(double(g[i]) + double(m[i]))));
        }
        EXPECT_TRUE(within(to_host(trained.p), p, bound)) << name(options.kind) << " n " << n << " step " << step;
      }
    }
}

TEST(optimizer_state, counts_steps_and_keeps_corrections_on_the_device) {
  const OptimizerOptions options{.kind = Optimizer::adam, .beta1 = 0.5, .beta2 = 0.75};
  const OptimizerStateView state("state");
  optimizer_set_learning_rate(Exec(), 0.25, state);
  for (int step = 0; step < 3; ++step) optimizer_advance(Exec(), options, state);
  Kokkos::fence();
  const OptimizerState now = to_host(state)[0];
  EXPECT_EQ(now.step, 3);
  EXPECT_EQ(now.learning_rate, 0.25);
  EXPECT_DOUBLE_EQ(now.first_correction, 1 - 0.125);
  EXPECT_DOUBLE_EQ(now.second_correction, 1 - 0.421875);
}

TEST(optimizer_state, learning_rate_can_change_between_steps) {
  Trained<double> trained({.kind = Optimizer::sgd}, 0.5, {1.0});
  trained.step({1.0});
  optimizer_set_learning_rate(Exec(), 0.25, trained.state);
  trained.step({1.0});
  EXPECT_EQ(to_host(trained.p)[0], 0.25);
}

TEST(optimizer_buffers, are_as_many_as_the_rule_needs) {
  EXPECT_EQ(optimizer_buffers({.kind = Optimizer::sgd}), 0);
  EXPECT_EQ(optimizer_buffers({.kind = Optimizer::sgd, .momentum = 0.9}), 1);
  EXPECT_EQ(optimizer_buffers({.kind = Optimizer::adagrad}), 1);
  EXPECT_EQ(optimizer_buffers({.kind = Optimizer::adam}), 2);
  EXPECT_EQ(optimizer_buffers({.kind = Optimizer::adamw}), 2);
  EXPECT_TRUE(optimizer_needs_m({.kind = Optimizer::sgd, .momentum = 0.9}));
  EXPECT_FALSE(optimizer_needs_m({.kind = Optimizer::adagrad}));
}

TEST(optimizer_buffers, an_absent_one_is_a_shape_error) {
  const OptimizerStateView state("state");
  const Vector<float> g("g", 4), p("p", 4), none;
  EXPECT_EQ(caught<ShapeError>([&] { optimizer_update(Exec(), {.kind = Optimizer::adam}, state, g, p, p, none); }),
            "optimizer_update: v has 0 elements, p has 4 elements: expected v (n) and p (n) with the same n");
  EXPECT_THROW(optimizer_update(Exec(), {}, state, none, p, none, none), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::optimizer_tests
