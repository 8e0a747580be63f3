// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/conv2d_shape.hpp>
#include <partita/kernels/cost/common.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/pool2d.hpp>

// Batch and group normalisation count 4 bytes a statistic for element < 8, else 8.

namespace partita::kernels::cost {

/// Multiply-adds with pixels beyond the edge count, as the field counts. Bytes are of all rows, those left out, too.
constexpr double conv2d_flop(const Conv2dShape& s, index_t B) {
  return 2 * double(B) * double(s.outputs()) * double(s.kernel());
}

/// Reads x and W, writes y; with a bias it is read and added.
constexpr Cost conv2d_forward(const Conv2dShape& s, index_t B, index_t element, bool bias = false) {
  const double in = double(B) * double(s.inputs()), out = double(B) * double(s.outputs());
  const double weights = double(s.filters) * double(s.kernel());
  return {conv2d_flop(s, B) + (bias ? out : 0),
          double(element) * (in + weights + out + (bias ? double(s.filters) : 0))};
}

/// Reads dy and W, writes dx.
constexpr Cost conv2d_backward_input(const Conv2dShape& s, index_t B, index_t element) {
  return conv2d_forward(s, B, element);
}

/// Reads x and dy, stores dW; with a bias dy's numbers are added, and it was read already.
constexpr Cost conv2d_backward_weights(const Conv2dShape& s, index_t B, index_t element, Store store = Store::overwrite,
                                       bool bias = false) {
  const double in = double(B) * double(s.inputs()), out = double(B) * double(s.outputs());
  return Cost{conv2d_flop(s, B) + (bias ? out : 0), double(element) * (in + out)} +
         stored_sums(store, double(s.filters) * (double(s.kernel()) + (bias ? 1 : 0)), element);
}

constexpr double statistic_bytes(index_t element) { return element < 8 ? 4 : 8; }

/// Reads x once: the second sum of a chunk finds it in the cache. Addition; subtraction, square, addition.
constexpr Cost batchnorm_stats(index_t R, index_t C, index_t element) {
  return {4 * double(R) * double(C),
          double(element) * double(R) * double(C) + 2 * statistic_bytes(element) * double(C)};
}

/// Variance, + epsilon, root, division, the unbiased variance. Reads squares, writes two.
constexpr Cost batchnorm_finish(index_t C, index_t element) {
  return Cost{5, 3 * statistic_bytes(element)} * double(C);
}

/// Reads two numbers a column, writes two doubles, and one more. Two multiplications, an addition.
constexpr Cost batchnorm_share(index_t C, index_t element) {
  return Cost{3, 2 * statistic_bytes(element) + 16} * double(C) + Cost{0, 8};
}

/// Reads what batchnorm_share writes, writes three numbers. Two divisions and the square of the mean, the difference;
/// then as batchnorm_finish.
constexpr Cost batchnorm_join(index_t C, index_t element) {
  return Cost{4 + 5, 16 + 3 * statistic_bytes(element)} * double(C) + Cost{0, 8};
}

/// Reads two numbers a column, writes two. Two divisions.
constexpr Cost batchnorm_share_slopes(index_t C, index_t element) {
  return Cost{2, 4 * statistic_bytes(element)} * double(C) + Cost{0, 8};
}

/// Reads x and four numbers a column, writes y. Subtraction, multiplication, addition and relu's comparison.
constexpr Cost batchnorm_apply(const BatchnormOptions& options, index_t R, index_t C, index_t element) {
  const double numbers = double(R) * double(C);
  return {(options.relu ? 4 : 3) * numbers + double(C),
          2 * double(element) * (numbers + double(C)) + 2 * statistic_bytes(element) * double(C)};
}

constexpr Cost batchnorm_forward(const BatchnormOptions& options, index_t R, index_t C, index_t element) {
  return batchnorm_stats(R, C, element) + batchnorm_finish(C, element) + batchnorm_apply(options, R, C, element);
}

/// Reads x, dy and with relu y; two statistics in, two sums out. Addition; subtraction, multiply-add; the comparison.
constexpr Cost batchnorm_backward_sums(const BatchnormOptions& options, index_t R, index_t C, index_t element) {
  const double numbers = double(R) * double(C);
  return {(options.relu ? 5 : 4) * numbers + double(C),
          (options.relu ? 3 : 2) * double(element) * numbers + 4 * statistic_bytes(element) * double(C)};
}

/// Reads x, dy and with relu y, writes dx; five numbers a column. Two subtractions, the multiply-subtract, the factor.
constexpr Cost batchnorm_backward_input(const BatchnormOptions& options, index_t R, index_t C, index_t element) {
  const double numbers = double(R) * double(C);
  return {(options.relu ? 6 : 5) * numbers + 4 * double(C),
          (options.relu ? 4 : 3) * double(element) * numbers +
              (double(element) + 4 * statistic_bytes(element)) * double(C)};
}

/// Reads x, writes a double a node and column. Addition.
constexpr Cost batchnorm_sum_nodes(index_t nodes, index_t R, index_t C, index_t element) {
  return Cost{double(R), double(element) * double(R) + 8 * double(nodes)} * double(C);
}

/// Reads the mean, too. Subtraction, square, addition.
constexpr Cost batchnorm_square_nodes(index_t nodes, index_t R, index_t C, index_t element) {
  return Cost{3 * double(R), double(element) * double(R) + 8 * (double(nodes) + 1)} * double(C);
}

/// As batchnorm_backward_sums, but for rstd; writes two doubles a node and column.
constexpr Cost batchnorm_slope_nodes(const BatchnormOptions& options, index_t nodes, index_t R, index_t C,
                                     index_t element) {
  return Cost{(options.relu ? 5 : 4) * double(R),
              (options.relu ? 3 : 2) * double(element) * double(R) + statistic_bytes(element) + 16 * double(nodes)} *
         double(C);
}

/// A division; a double in, one out.
constexpr Cost batchnorm_mean(index_t C) { return Cost{1, 16} * double(C); }

/// Reads two doubles a column, writes three numbers. As batchnorm_finish.
constexpr Cost batchnorm_finish_parts(index_t C, index_t element) {
  return Cost{5, 16 + 3 * statistic_bytes(element)} * double(C);
}

/// Reads two doubles and rstd, writes two numbers. A multiplication.
constexpr Cost batchnorm_finish_slopes(index_t C, index_t element) {
  return Cost{1, 16 + 3 * statistic_bytes(element)} * double(C);
}

/// x is read once: an image is in the cache when it is normalised. 4 flop a number for the statistics, 3 for y; per
/// channel 5 to put it into its group, per group 5.
constexpr Cost groupnorm_forward(const GroupnormOptions& options, index_t B, index_t P, index_t C, index_t element) {
  const double numbers = double(B) * double(P) * double(C), statistics = double(B) * double(options.groups);
  return {7 * numbers + 5 * double(B) * double(C) + 5 * statistics,
          2 * double(element) * (numbers + double(C)) + 2 * statistic_bytes(element) * statistics};
}

/// Reads x and dy once, writes dx. 4 flop a number for the sums, 6 for dx; per channel two multiply-adds, per group 5.
constexpr Cost groupnorm_backward_input(const GroupnormOptions& options, index_t B, index_t P, index_t C,
                                        index_t element) {
  const double numbers = double(B) * double(P) * double(C), statistics = double(B) * double(options.groups);
  return {10 * numbers + 4 * double(B) * double(C) + 5 * statistics,
          double(element) * (3 * numbers + double(C)) + 2 * statistic_bytes(element) * statistics};
}

/// Reads x and dy, stores dgamma and dbeta. 4 flop a number, 3 per image and channel.
constexpr Cost groupnorm_backward_weights(const GroupnormOptions& options, index_t B, index_t P, index_t C,
                                          index_t element, Store store = Store::overwrite) {
  const double numbers = double(B) * double(P) * double(C), statistics = double(B) * double(options.groups);
  return Cost{4 * numbers + 3 * double(B) * double(C),
              2 * double(element) * numbers + 2 * statistic_bytes(element) * statistics} +
         stored_sums(store, 2 * double(C), element);
}

/// Taps of all windows, those in the padding included.
constexpr double pool2d_taps(const Pool2dShape& s, index_t B) {
  return double(B) * double(s.outputs()) * double(s.kernel_rows) * double(s.kernel_columns);
}

/// Reads x, writes y and the winners. A comparison a tap.
constexpr Cost max_pool2d_forward(const Pool2dShape& s, index_t B, index_t element) {
  return {pool2d_taps(s, B),
          double(B) * (double(element) * double(s.inputs() + s.outputs()) + 4 * double(s.outputs()))};
}

/// Reads dy and the winners, writes dx. A comparison and an addition a tap.
constexpr Cost max_pool2d_backward(const Pool2dShape& s, index_t B, index_t element) {
  return {2 * pool2d_taps(s, B),
          double(B) * (double(element) * double(s.inputs() + s.outputs()) + 4 * double(s.outputs()))};
}

/// An addition a tap, a division an output.
constexpr Cost average_pool2d_forward(const Pool2dShape& s, index_t B, index_t element) {
  return {pool2d_taps(s, B) + double(B) * double(s.outputs()),
          double(B) * double(element) * double(s.inputs() + s.outputs())};
}

/// An addition a tap, a division an input.
constexpr Cost average_pool2d_backward(const Pool2dShape& s, index_t B, index_t element) {
  return {pool2d_taps(s, B) + double(B) * double(s.inputs()),
          double(B) * double(element) * double(s.inputs() + s.outputs())};
}

constexpr Cost global_average_pool2d_forward(index_t B, index_t pixels, index_t C, index_t element) {
  const double outputs = double(B) * double(C);
  return Cost{double(pixels) + 1, double(element) * (double(pixels) + 1)} * outputs;
}

/// Reads x, writes a number a node, image and channel in accumulate_t.
constexpr Cost global_average_pool2d_nodes(index_t nodes, index_t B, index_t pixels, index_t C, index_t element) {
  const double outputs = double(B) * double(C);
  return Cost{double(pixels), double(element) * double(pixels) + statistic_bytes(element) * double(nodes)} * outputs;
}

constexpr Cost global_average_pool2d_finish(index_t B, index_t C, index_t element) {
  return Cost{1, double(element) + statistic_bytes(element)} * (double(B) * double(C));
}

constexpr Cost global_average_pool2d_backward(index_t B, index_t pixels, index_t C, index_t element) {
  const double outputs = double(B) * double(C);
  return Cost{double(pixels), double(element) * (double(pixels) + 1)} * outputs;
}

}  // namespace partita::kernels::cost
