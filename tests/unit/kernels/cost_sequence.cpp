// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/kernels/cost.hpp>

// Hand-counted small cases, and what must hold for any size.

namespace partita::kernels::test::cost_sequence_tests {
namespace {

using cost::Cost;

TEST(cost_sequence, gemm_options_add_what_they_read_and_compute) {
  const Cost plain = cost::gemm(2, 3, 4, 4);
  EXPECT_EQ(cost::gemm(GemmOptions{}, 2, 3, 4, 4), plain);
  EXPECT_EQ(cost::gemm(GemmOptions{.alpha = 2}, 2, 3, 4, 4), (plain + Cost{6, 0}));
  EXPECT_EQ(cost::gemm(GemmOptions{.beta = 1}, 2, 3, 4, 4, 5), (plain + Cost{12, 24}) * 5);
}

TEST(cost_sequence, attention_counts_the_pairs_that_are_seen) {
  EXPECT_EQ(cost::attention_pairs(2, whole(3), 5, false), 2 * 5 * 9);
  EXPECT_EQ(cost::attention_pairs(2, whole(3), 5, true), 2 * 5 * 6);
  EXPECT_EQ(cost::attention_pairs(2, {1, 2, 4}, 5, false), 2 * 5 * 8);
  EXPECT_EQ(cost::attention_pairs(2, {1, 2, 4}, 5, true), 2 * 5 * (2 + 3));
  // One token: q . k and p v are 2 D each, 5 for the weight; y is divided once an element.
  EXPECT_EQ(cost::attention_forward(1, whole(1), 1, 8, true, 4, 4), (Cost{4 * 8 + 5 + 8, 4 * 8 * 4 + 4}));
  EXPECT_EQ(cost::attention_backward(1, whole(1), 1, 8, true, 4, 4), (Cost{10 * 8 + 5 + 3 * 8, 8 * 8 * 4 + 4}));
  // The reference GPT: 2.5 times the products backward.
  const double forward = cost::attention_forward(8, whole(256), 4, 64, true, 4, 4).flop;
  const double backward = cost::attention_backward(8, whole(256), 4, 64, true, 4, 4).flop;
  EXPECT_NEAR(backward / forward, 2.5, 0.05);
}

TEST(cost_sequence, rows_move_their_operands_once) {
  EXPECT_EQ(cost::softmax_forward(2, 10, 4), (Cost{102, 160}));
  EXPECT_EQ(cost::softmax_backward(2, 10, 4), (Cost{80, 240}));
  EXPECT_EQ(cost::layernorm_forward(2, 10, 2, 4), (Cost{170, 2 * 60 + 16}));
  EXPECT_EQ(cost::layernorm_backward_input(2, 10, 4, 4), (Cost{224, 4 * 70 + 16}));
  EXPECT_EQ(cost::layernorm_backward_weights(2, 10, 4, 4), (Cost{100, 4 * 60 + 16}));
  EXPECT_EQ(cost::rmsnorm_forward(2, 10, 4, 4), (Cost{88, 4 * 50 + 8}));
  EXPECT_EQ(cost::rmsnorm_backward_input(2, 10, 4, 4), (Cost{142, 4 * 70 + 8}));
  EXPECT_EQ(cost::rmsnorm_backward_weights(2, 10, 4, 4), (Cost{60, 4 * 50 + 8}));
}

TEST(cost_sequence, embedding_moves_rows) {
  EXPECT_EQ(cost::embedding_forward(6, 10, false, 4), (Cost{0, 2 * 60 * 4 + 24}));
  EXPECT_EQ(cost::embedding_forward(6, 10, true, 4), (Cost{60, 3 * 60 * 4 + 24}));
  EXPECT_EQ(cost::embedding_backward_weights(6, 3, 7, 10, true, 4), (Cost{120, 4 * (120 + 100) + 24}));
  EXPECT_EQ(cost::embedding_backward_weights(6, 3, 7, 10, false, 4), (Cost{60, 4 * (60 + 70) + 24}));
}

TEST(cost_sequence, an_embedding_bag_adds_rows) {  // 2 bags of 3 words, 7 words of 10 columns
  EXPECT_EQ(cost::embedding_bag_forward(2, 3, 10, 4), (Cost{80, 4 * (60 + 20) + 24}));
  EXPECT_EQ(cost::embedding_bag_backward_weights(2, 3, 7, 10, 4), (Cost{120, 4 * (20 + 70) + 24}));
  EXPECT_EQ(cost::embedding_bag_backward_weights(2, 3, 7, 10, 4, Store::accumulate), (Cost{190, 4 * (20 + 140) + 24}));
}

TEST(cost_sequence, nothing_costs_no_flop) {
  EXPECT_EQ(cost::attention_forward(0, whole(5), 2, 3, true, 4, 4), Cost{});
  EXPECT_EQ(cost::softmax_forward(0, 5, 4), Cost{});
  EXPECT_EQ(cost::layernorm_backward_weights(0, 5, 4, 4).flop, 0);
}

}  // namespace
}  // namespace partita::kernels::test::cost_sequence_tests
