// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/activation.hpp>
#include <partita/kernels/elastic.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/optimizer.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// A training step, as the apps make it: after the first one it allocates nothing, fences nothing, and every kernel has
// Partita's label and runs on the context's instance.

namespace partita::kernels::test::discipline_tests {
namespace {

struct Step {
  static constexpr index_t B = 37, K = 50, F = 130, V = 10;
  Context context;
  Activation activation = Activation::tanh;
  OptimizerOptions options{.kind = Optimizer::adam};
  Matrix<float> x{"x", B, K}, W1{"W1", F, K}, W2{"W2", V, F}, hidden{"hidden", B, F}, dhidden{"dhidden", B, F},
      z{"z", B, V}, dz{"dz", B, V}, dx{"dx", B, K}, dW1{"dW1", F, K}, dW2{"dW2", V, F};
  Vector<float> b1{"b1", F}, b2{"b2", V}, db1{"db1", F}, db2{"db2", V}, m{"m", F*K}, v{"v", F*K};
  Vector<std::int32_t> label{"label", B};
  Kokkos::View<double, Memory> sum{"sum"};
  Kokkos::View<index_t, Memory> correct{"correct"};
  OptimizerStateView state{"state"};

  explicit Step(const Exec& exec, Backend backend)
      : context(exec, {.backend = backend, .deterministic = false, .per_kernel = {}}) {}

  void run() {
    const Exec& exec = context.exec();
    linear_forward(context, {.activation = activation}, x, W1, b1, hidden);
    linear_forward(context, {}, hidden, W2, b2, z);
    loss_forward_backward(context, {}, z, label, 1.0 / B, dz, sum);
    loss_forward(context, {}, z, label, sum, correct);
    linear_backward_weights<float>(context, {}, Store::overwrite, hidden, dz, dW2, db2);
    linear_backward_input(context, {}, dz, W2, dhidden);
    activation_backward(exec, activation, hidden, dhidden);
    linear_backward_weights<float>(context, {}, Store::overwrite, x, dhidden, dW1, db1);
    linear_backward_input(context, {}, dhidden, W1, dx);
    optimizer_set_learning_rate(exec, 1e-3, state);
    optimizer_advance(exec, options, state);
    for (Optimizer kind : {Optimizer::sgd, Optimizer::adagrad, Optimizer::adam}) {
      options.kind = kind;
      const Vector<float> g(dW1.data(), dW1.size()), p(W1.data(), W1.size());
      optimizer_update(exec, options, state, g, p, m, v);
    }
    add(exec, b1, db1);
    fill(exec, 0.0f, db1);
    scale(exec, 0.5f, b1);
    copy(exec, b1, db1);
    elastic_step<float>(exec, 0.1, 0.5, db1, db1, b1, db1);
  }
};

class discipline : public ::testing::TestWithParam<Backend> {};

TEST_P(discipline, a_step_has_own_labels_and_neither_fences_nor_view_allocations) {
  Step step(instances().back(), GetParam());
  step.run();
  ::partita::test::expect_own_labels_and_no_fences(step.context.exec(), 16, [&] { step.run(); });
}

TEST_P(discipline, a_step_asks_the_heap_for_nothing) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Step step(Exec(), GetParam());
  step.run();
  step.run();
  ::partita::test::expect_no_allocation(GetParam() == Backend::portable, [&] { step.run(); });
}

TEST(discipline_counter, sees_an_allocation) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  ::partita::test::start_counting_allocations();
  const std::vector<int>* volatile kept = new std::vector<int>(100);
  const auto count = ::partita::test::stop_counting_allocations();
  delete kept;
  EXPECT_EQ(count.ours(), 2u);
}

INSTANTIATE_TEST_SUITE_P(all, discipline, ::testing::ValuesIn(backends()), [](const auto& at) {
  return std::string(at.param == Backend::vendor ? "vendor" : "portable");
});

}  // namespace
}  // namespace partita::kernels::test::discipline_tests
