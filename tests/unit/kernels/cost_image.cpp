// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/kernels/cost.hpp>

// Known by counting by hand.

namespace partita::kernels::test::cost_image_tests {
namespace {

using cost::Cost;

constexpr Conv2dShape layer{28, 28, 16, 32, 3, 3, 2, 1};  // -> 14 x 14 x 32
static_assert(layer.out_rows() == 14 && layer.out_columns() == 14);
static_assert(layer.inputs() == 12544 && layer.outputs() == 6272 && layer.kernel() == 144);

TEST(cost_image, convolution) {
  const double products = 2.0 * 128 * 6272 * 144, bytes = 4.0 * (128 * 12544 + 32 * 144 + 128 * 6272);
  EXPECT_EQ(cost::conv2d_forward(layer, 128, 4), (Cost{products, bytes}));
  EXPECT_EQ(cost::conv2d_backward_input(layer, 128, 4), (Cost{products, bytes}));
  EXPECT_EQ(cost::conv2d_backward_weights(layer, 128, 4), (Cost{products, bytes}));
  EXPECT_EQ(cost::conv2d_forward(layer, 128, 4, true), (Cost{products + 128 * 6272, bytes + 4 * 32}));
  EXPECT_EQ(cost::conv2d_backward_weights(layer, 128, 4, Store::overwrite, true),
            (Cost{products + 128 * 6272, bytes + 4 * 32}));
  EXPECT_EQ(cost::conv2d_backward_weights(layer, 128, 4, Store::accumulate),
            (Cost{products + 32 * 144, bytes + 4 * 32 * 144}));
  EXPECT_EQ(cost::conv2d_backward_weights(layer, 128, 2).byte, (bytes + 4 * 32 * 144) / 2);  // sums are of 4 bytes
  EXPECT_EQ(cost::conv2d_forward(layer, 128, 2).byte, bytes / 2);
  EXPECT_EQ(cost::conv2d_forward(layer, 0, 4).flop, 0);
}

TEST(cost_image, convolution_of_a_slice) {
  constexpr Conv2dShape part = conv2d_slice(layer, {9, 10, 28}, {5, 4, 14});  // rows 9 to 18 to outputs 5 to 8
  static_assert(part.above == 0 && part.below == -1 && part.out_rows() == 4);
  const double products = 2.0 * 128 * (4 * 14 * 32) * 144,
               bytes = 4.0 * (128 * (10 * 28 * 16 + 4 * 14 * 32) + 32 * 144);
  EXPECT_EQ(cost::conv2d_forward(part, 128, 4), (Cost{products, bytes}));
  EXPECT_EQ(cost::conv2d_backward_input(part, 128, 4), (Cost{products, bytes}));
  EXPECT_EQ(cost::conv2d_backward_weights(part, 128, 4), (Cost{products, bytes}));
}

TEST(cost_image, batch_norm) {
  constexpr double n = 1000 * 16;
  const BatchnormOptions plain, relu{.relu = true};
  EXPECT_EQ(cost::batchnorm_stats(1000, 16, 4), (Cost{4 * n, 4 * n + 2 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_apply(plain, 1000, 16, 4), (Cost{3 * n + 16, 8 * n + 4 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_apply(relu, 1000, 16, 2), (Cost{4 * n + 16, 4 * n + (2 * 2 + 2 * 4) * 16}));
  EXPECT_EQ(cost::batchnorm_finish(16, 4), (Cost{5 * 16, 3 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_share(16, 2), (Cost{3 * 16, (2 * 4 + 16) * 16 + 8}));
  EXPECT_EQ(cost::batchnorm_join(16, 8), (Cost{9 * 16, (16 + 3 * 8) * 16 + 8}));
  EXPECT_EQ(cost::batchnorm_share_slopes(16, 4), (Cost{2 * 16, 4 * 4 * 16 + 8}));
  EXPECT_EQ(
      cost::batchnorm_forward(plain, 1000, 16, 4),
      cost::batchnorm_stats(1000, 16, 4) + cost::batchnorm_finish(16, 4) + cost::batchnorm_apply(plain, 1000, 16, 4));
  EXPECT_EQ(cost::batchnorm_backward_sums(plain, 1000, 16, 4), (Cost{4 * n + 16, 8 * n + 4 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_backward_sums(relu, 1000, 16, 4), (Cost{5 * n + 16, 12 * n + 4 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_backward_input(plain, 1000, 16, 4), (Cost{5 * n + 64, 12 * n + 5 * 4 * 16}));
  EXPECT_EQ(cost::batchnorm_backward_input(relu, 1000, 16, 8), (Cost{6 * n + 64, 32 * n + 5 * 8 * 16}));
}

TEST(cost_image, batch_norm_in_parts) {
  constexpr double n = 1000 * 16;
  EXPECT_EQ(cost::batchnorm_sum_nodes(3, 1000, 16, 4), (Cost{n, 4 * n + 3 * 8 * 16}));
  EXPECT_EQ(cost::batchnorm_square_nodes(3, 1000, 16, 2), (Cost{3 * n, 2 * n + 4 * 8 * 16}));
  EXPECT_EQ(cost::batchnorm_slope_nodes({}, 3, 1000, 16, 4), (Cost{4 * n, 8 * n + (4 + 3 * 16) * 16}));
  EXPECT_EQ(cost::batchnorm_slope_nodes({.relu = true}, 1, 1000, 16, 8), (Cost{5 * n, 24 * n + (8 + 16) * 16}));
  EXPECT_EQ(cost::batchnorm_mean(16), (Cost{16, 16 * 16}));
  EXPECT_EQ(cost::batchnorm_finish_parts(16, 4), (Cost{5 * 16, (16 + 3 * 4) * 16}));
  EXPECT_EQ(cost::batchnorm_finish_slopes(16, 8), (Cost{16, (16 + 3 * 8) * 16}));
}

TEST(cost_image, group_norm) {
  const GroupnormOptions two{.groups = 2};
  constexpr double n = 3 * 49 * 8;
  EXPECT_EQ(cost::groupnorm_forward(two, 3, 49, 8, 4), (Cost{7 * n + 5 * 24 + 5 * 6, 8 * (n + 8) + 8 * 6}));
  EXPECT_EQ(cost::groupnorm_backward_input(two, 3, 49, 8, 4), (Cost{10 * n + 4 * 24 + 5 * 6, 4 * (3 * n + 8) + 8 * 6}));
  EXPECT_EQ(cost::groupnorm_backward_weights(two, 3, 49, 8, 4), (Cost{4 * n + 3 * 24, 8 * n + 8 * (6 + 8)}));
  EXPECT_EQ(cost::groupnorm_backward_weights(two, 3, 49, 8, 4, Store::accumulate),
            (Cost{4 * n + 3 * 24 + 16, 8 * n + 8 * (6 + 16)}));
}

TEST(cost_image, pooling) {
  constexpr Pool2dShape s{6, 6, 3, 3, 3, 2, 1};  // -> 3 x 3
  EXPECT_EQ(cost::max_pool2d_forward(s, 2, 4), (Cost{2 * 27 * 9, 2 * (4 * (108 + 27) + 4 * 27)}));
  EXPECT_EQ(cost::max_pool2d_backward(s, 2, 2), (Cost{2 * 2 * 27 * 9, 2 * (2 * (108 + 27) + 4 * 27)}));
  EXPECT_EQ(cost::average_pool2d_forward(s, 2, 4), (Cost{2 * 27 * 9 + 2 * 27, 2 * 4 * (108 + 27)}));
  EXPECT_EQ(cost::average_pool2d_backward(s, 2, 4), (Cost{2 * 27 * 9 + 2 * 108, 2 * 4 * (108 + 27)}));
  EXPECT_EQ(cost::global_average_pool2d_forward(2, 49, 64, 4), (Cost{128 * 50, 4 * 128 * 50}));
  EXPECT_EQ(cost::global_average_pool2d_nodes(3, 2, 49, 64, 2), (Cost{128 * 49, 128 * (2 * 49 + 3 * 4)}));
  EXPECT_EQ(cost::global_average_pool2d_finish(2, 64, 8), (Cost{128, 128 * 16}));
  EXPECT_EQ(cost::global_average_pool2d_backward(2, 49, 64, 4), (Cost{128 * 49, 4 * 128 * 50}));
}

}  // namespace
}  // namespace partita::kernels::test::cost_image_tests
