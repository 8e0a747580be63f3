// SPDX-License-Identifier: BSD-3-Clause
#include <array>

#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/batchnorm_parts.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/pool2d.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// The kernels of images: after the first call they allocate nothing, fence nothing, and every kernel has Partita's
// label and runs on the context's instance.

namespace partita::kernels::test::discipline_image_tests {
namespace {

struct Step {
  static constexpr index_t B = 6;
  static constexpr Conv2dShape s{9, 8, 16, 32, 3, 3, 2, 1};
  static constexpr Pool2dShape pool{9, 8, 16, 3, 3, 2, 1};
  static constexpr std::array out_nodes = {Node{0, 3}, Node{3, 5}};
  static constexpr index_t pixels = s.rows * s.columns, C = s.channels;
  Context context;
  BatchnormOptions batch{.relu = true, .pixels = pixels};
  GroupnormOptions group{.groups = 4};
  Matrix<float> x{"x", B, s.inputs()}, dx{"dx", B, s.inputs()}, y{"y", B, s.outputs()}, W{"W", s.filters, s.kernel()},
      dW{"dW", s.filters, s.kernel()}, filter_sums{"filter_sums", 2, s.filters*(s.kernel() + 1)},
      pooled{"pooled", B, pool.outputs()}, mean_of_all{"all", B, C}, group_mean{"group_mean", B, 4},
      group_rstd{"group_rstd", B, 4};
  Vector<float> b{"b", s.filters}, db{"db", s.filters}, gamma{"gamma", C}, beta{"beta", C}, mean{"mean", C},
      variance{"variance", C}, rstd{"rstd", C}, running_mean{"running_mean", C}, dgamma{"dgamma", C}, dbeta{"dbeta", C},
      means{"means", 2 * C};
  Vector<double> sums{"sums", 2 * C + 1}, one{"one", 1}, root{"root", C}, slopes{"slopes", 2 * C};
  Matrix<double> node_sums{"node_sums", 2, C}, node_slopes{"node_slopes", 2, 2 * C};
  Matrix<float> node_means{"node_means", 2, B* C};
  Vector<float> sum_of_all{"sum_of_all", B* C};
  std::array<Node, 2> nodes{Node{0, 5}, Node{5, s.rows}};
  Matrix<std::int32_t> winner{"winner", B, pool.outputs()};

  explicit Step(const Exec& exec, Backend backend)
      : context(exec, {.backend = backend, .deterministic = false, .per_kernel = {}}) {}

  void run() {
    const Exec& exec = context.exec();
    conv2d_forward(context, s, x, W, b, y);
    conv2d_forward<float>(context, s, x, W, {}, y);
    conv2d_backward_input(context, s, y, W, dx);
    for (Store store : {Store::overwrite, Store::accumulate})
      for (Blocks blocks : {Blocks{}, Blocks{s.out_rows()}})
        conv2d_backward_weights<float>(context, s, blocks, store, x, y, dW, db);
    conv2d_backward_weights_nodes<float>(context, s, out_nodes, x, y, filter_sums);
    const Matrix<float> rows(x.data(), B * pixels, C), drows(dx.data(), B * pixels, C);
    for (Blocks blocks : {Blocks{}, Blocks{s.rows}}) {
      batch.rows = group.rows = blocks;
      batchnorm_forward(context, batch, rows, gamma, beta, drows, mean, variance, rstd);
      batchnorm_share<float>(exec, 4, mean, variance, sums);
      batchnorm_join<float>(exec, batch, sums, mean, variance, rstd);
      batchnorm_share_slopes<float>(exec, one, dgamma, dbeta, means);
      batchnorm_infer(exec, batch, rows, gamma, beta, mean, variance, drows);
      batchnorm_backward_sums<float>(context, batch, rows, drows, mean, rstd, drows, dgamma, dbeta);
      batchnorm_backward_input(exec, batch, rows, drows, gamma, mean, rstd, dgamma, dbeta, drows, drows);
      groupnorm_forward(context, group, x, gamma, beta, dx, group_mean, group_rstd);
      groupnorm_backward_input(context, group, x, gamma, group_mean, group_rstd, x, dx);
      groupnorm_backward_weights<float>(context, group, Store::accumulate, x, group_mean, group_rstd, x, dgamma, dbeta);
      global_average_pool2d_forward(exec, pixels, blocks, x, mean_of_all);
    }
    batchnorm_sum_nodes<float>(context, batch, nodes, rows, node_sums);
    batchnorm_mean(exec, B * pixels, root, root);
    batchnorm_square_nodes<float>(context, batch, nodes, rows, root, node_sums);
    batchnorm_finish_parts<float>(exec, batch, root, root, mean, variance, rstd);
    batchnorm_slope_nodes<float>(context, batch, nodes, rows, drows, mean, drows, node_slopes);
    batchnorm_finish_slopes<float>(exec, slopes, rstd, dgamma, dbeta);
    global_average_pool2d_nodes<float>(exec, pixels, {s.rows}, nodes, x, node_means);
    global_average_pool2d_finish<float>(exec, pixels, sum_of_all, mean_of_all);
    scale(exec, Store::overwrite, 0.5, mean, running_mean);
    scale(exec, Store::accumulate, 0.5, dgamma, dbeta);
    max_pool2d_forward(exec, pool, x, pooled, winner);
    max_pool2d_backward(exec, pool, pooled, winner, dx);
    average_pool2d_forward(exec, pool, x, pooled);
    average_pool2d_backward(exec, pool, pooled, dx);
    global_average_pool2d_backward(exec, pixels, mean_of_all, dx);
  }
};

class discipline_image : public ::testing::TestWithParam<Backend> {};

TEST_P(discipline_image, a_step_has_own_labels_and_neither_fences_nor_view_allocations) {
  Step step(instances().back(), GetParam());
  step.run();
  ::partita::test::expect_own_labels_and_no_fences(step.context.exec(), 20, [&] { step.run(); });
}

TEST_P(discipline_image, a_step_asks_the_heap_for_nothing) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Step step(Exec(), GetParam());
  step.run();
  step.run();
  ::partita::test::expect_no_allocation(GetParam() == Backend::portable, [&] { step.run(); });
}

INSTANTIATE_TEST_SUITE_P(all, discipline_image, ::testing::ValuesIn(backends()), [](const auto& at) {
  return std::string(at.param == Backend::vendor ? "vendor" : "portable");
});

}  // namespace
}  // namespace partita::kernels::test::discipline_image_tests
