// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/kernels/cost.hpp>

// Known by counting by hand; the checks of the closed forms against each other hold for any size.

namespace partita::kernels::test::cost_tests {
namespace {

using cost::Cost;

static_assert(cost::gemm(2, 3, 4, 4) == Cost{48, 4 * (8 + 12 + 6)}, "cost is usable at compile time");

TEST(cost, linear_layer_of_the_reference_model) {
  // 784 -> 2048, batch 256, fp32: 2 * 256 * 2048 * 784 flop of products, one bias and one relu an output.
  const Cost c = cost::linear_forward(256, 2048, 784, 4, Activation::relu);
  EXPECT_EQ(c.flop, 2.0 * 256 * 2048 * 784 + 2.0 * 256 * 2048);
  EXPECT_EQ(c.byte, 4.0 * (256 * 784 + 2048 * 784 + 2048 + 256 * 2048));
}

TEST(cost, both_backward_halves_cost_one_product_each) {
  const double products = 2.0 * 5 * 7 * 9;
  EXPECT_EQ(cost::linear_backward_input(5, 7, 9, 4).flop, products);
  EXPECT_EQ(cost::linear_backward_weights(5, 7, 9, 4).flop, products + 5 * 7);
  EXPECT_EQ(cost::linear_backward_input(5, 7, 9, 8).byte, 2 * cost::linear_backward_input(5, 7, 9, 4).byte);
  EXPECT_EQ(cost::linear_backward_weights(5, 7, 9, 4).byte, 4.0 * (5 * 7 + 5 * 9 + 7 * 9 + 7));
}

TEST(cost, empty_extents_cost_no_flop) {
  EXPECT_EQ(cost::linear_forward(0, 3, 4, 4).flop, 0);
  EXPECT_EQ(cost::linear_backward_weights(0, 3, 4, 4).flop, 0);
  EXPECT_EQ(cost::optimizer_update({}, 0, 4), Cost{});
}

TEST(cost, optimizers_stream_each_operand_once) {
  const index_t n = 1000;
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::sgd}, n, 4), (Cost{2000, 3 * 4000}));
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::sgd, .momentum = 0.9}, n, 4), (Cost{4000, 5 * 4000}));
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::adagrad}, n, 4), (Cost{7000, 5 * 4000}));
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::adam}, n, 4), (Cost{13000, 7 * 4000}));
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::adam, .weight_decay = 0.1}, n, 4), (Cost{15000, 7 * 4000}));
}

TEST(cost, gradients_of_weights_are_sums_of_four_bytes_or_more_and_adding_reads_them) {
  const cost::Cost wide = cost::linear_backward_weights(5, 7, 9, 4), narrow = cost::linear_backward_weights(5, 7, 9, 2);
  EXPECT_EQ(narrow.flop, wide.flop);
  EXPECT_EQ(wide.byte - narrow.byte, 2.0 * (5 * 7 + 5 * 9));
  const cost::Cost added = cost::linear_backward_weights(5, 7, 9, 2, Store::accumulate);
  EXPECT_EQ(added, (narrow + cost::Cost{7 * 9 + 7, 4 * (7 * 9 + 7)}));
  EXPECT_EQ(cost::linear_backward_weights(5, 7, 9, 2, Store::overwrite, false),
            (cost::Cost{2 * 5 * 7 * 9, 2 * (5 * 7 + 5 * 9) + 4 * 7 * 9}));
  EXPECT_EQ(cost::linear_forward(5, 7, 9, 4, Activation::identity, false), cost::gemm(5, 7, 9, 4));
  EXPECT_EQ(cost::layernorm_backward_weights(2, 10, 2, 4, Store::accumulate),
            (cost::layernorm_backward_weights(2, 10, 2, 4) + cost::Cost{20, 80}));
  EXPECT_EQ(cost::rmsnorm_backward_weights(2, 10, 8, 8, Store::accumulate),
            (cost::rmsnorm_backward_weights(2, 10, 8, 8) + cost::Cost{10, 80}));
  EXPECT_EQ(cost::embedding_backward_weights(6, 3, 7, 10, true, 4, Store::accumulate),
            (cost::embedding_backward_weights(6, 3, 7, 10, true, 4) + cost::Cost{100, 400}));
}

TEST(cost, activation_and_loss_move_their_operands) {
  EXPECT_EQ(cost::activation_backward(Activation::identity, 100, 4), Cost{});
  EXPECT_EQ(cost::activation_backward(Activation::relu, 100, 4), (Cost{100, 1200}));
  EXPECT_EQ(cost::activation_forward(Activation::tanh, 100, 8), (Cost{100, 1600}));
  EXPECT_EQ(cost::loss_forward_backward(Loss::cross_entropy, 6, 10, 4), (Cost{5 * 60 + 4 * 6, 2 * 60 * 4 + 6 * 4}));
  EXPECT_EQ(cost::loss_forward_backward(Loss::mse, 6, 10, 4), (Cost{4 * 60 + 6, 2 * 60 * 4 + 6 * 4}));
  EXPECT_EQ(cost::add(10, 4), (Cost{10, 120}));
}

/// Slices of 3 and 7 of 10 columns: the flop of whole rows but for what every slice does of a row, log and its kin;
/// each part reads the logits, and the first two hand numbers of 8 bytes a row to the next.
TEST(cost, parts_of_a_split_loss_do_the_work_of_the_whole) {
  Cost all;
  for (const index_t columns : {3, 7})
    all = all + cost::loss_max(6, columns, 4) + cost::loss_sums(6, columns, 1, 4, true) +
          cost::loss_finish(6, columns, 4);
  const Cost whole = cost::loss_forward_backward(Loss::cross_entropy, 6, 10, 4);
  EXPECT_EQ(all.flop, whole.flop + 4 * 6);
  EXPECT_EQ(all.byte, 5 * 60 * 4 + 2 * 6 * (3 * 4 + 7 * 8));
  EXPECT_EQ(cost::loss_sums(6, 10, 3, 2, true), cost::loss_sums(6, 10, 3, 2, false));
  EXPECT_EQ(cost::loss_sums(6, 10, 3, 8, false), (Cost{180, 480 + 6 * (4 + 8 + 3 * 8)}));
}

TEST(cost, elementwise_kernels_move_each_operand_once) {
  EXPECT_EQ(cost::activation_forward(Activation::gelu, 10, 4), (Cost{50, 80}));
  EXPECT_EQ(cost::activation_forward(Activation::gelu_tanh, 10, 4), (Cost{100, 80}));
  EXPECT_EQ(cost::activation_forward(Activation::silu, 10, 2), (Cost{50, 40}));
  EXPECT_EQ(cost::activation_backward_from_input(Activation::relu, 10, 4), (Cost{10, 120}));
  EXPECT_EQ(cost::activation_backward_from_input(Activation::gelu, 10, 4), (Cost{110, 120}));
  EXPECT_EQ(cost::activation_backward_from_input(Activation::gelu_tanh, 10, 4), (Cost{180, 120}));
  EXPECT_EQ(cost::activation_backward_from_input(Activation::silu, 10, 4), (Cost{90, 120}));
  EXPECT_EQ(cost::add_relu(10, 4), (Cost{20, 120}));
  EXPECT_EQ(cost::cast(10, 4, 2), (Cost{0, 60}));
  EXPECT_EQ(cost::dropout(10, 4), (Cost{20, 80}));
}

TEST(cost, training_in_16_bits_moves_half_the_gradient) {
  EXPECT_EQ(cost::optimizer_update({.kind = Optimizer::adamw, .weight_decay = 0.1}, 1, 4), (Cost{14, 28}));
  EXPECT_EQ(cost::optimizer_update_mixed({.kind = Optimizer::adamw}, 10, 2), (Cost{130, 10 * (7 * 4 + 2)}));
  EXPECT_EQ(cost::norm_squared(10, 4), (Cost{20, 40}));
  EXPECT_EQ(cost::statistics_update(10, 4), (Cost{30, 120}));
  EXPECT_EQ(cost::clip_by_norm(10, 4), (Cost{10, 80}));
}

TEST(cost, sums_and_multiples) { EXPECT_EQ((Cost{1, 2} + Cost{3, 4}) * 2, (Cost{8, 12})); }

}  // namespace
}  // namespace partita::kernels::test::cost_tests
