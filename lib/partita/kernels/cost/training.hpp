// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/cost/common.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/optimizer.hpp>

namespace partita::kernels::cost {

/// Reads logits and labels, writes dlogits. cross_entropy: maximum, subtract, exp, add, scale a number; log, two
/// additions and the label's subtraction a row. mse: subtract, square and add (2), scale a number; one division a row.
constexpr Cost loss_forward_backward(Loss loss, index_t B, index_t V, index_t element) {
  const double rows = double(B), numbers = double(B) * double(V);
  const double flop = loss == Loss::cross_entropy ? 5 * numbers + 4 * rows : 4 * numbers + rows;
  return {flop, 2 * numbers * double(element) + 4 * rows};
}

/// Of a slice of `columns`; the three together do what loss_forward_backward does. Reads logits and labels, writes two
/// numbers a row. A comparison a number.
constexpr Cost loss_max(index_t B, index_t columns, index_t element) {
  const double rows = double(B), numbers = rows * double(columns);
  return {numbers, numbers * double(element) + (4 + 2 * 8) * rows};
}

/// Reads logits, labels and the maximum, writes a number a row and node; with a gradient also the exponentials where
/// their type keeps them. Subtract, exp, add a number.
constexpr Cost loss_sums(index_t B, index_t columns, index_t nodes, index_t element, bool gradient) {
  const double rows = double(B), numbers = rows * double(columns), times = gradient && element >= 4 ? 2 : 1;
  return {3 * numbers, times * numbers * double(element) + (4 + 8 + 8 * double(nodes)) * rows};
}

/// Reads exponentials, or logits, and four numbers a row, writes dlogits. Scale a number; a row as
/// loss_forward_backward. Exponentials that are found again are not counted.
constexpr Cost loss_finish(index_t B, index_t columns, index_t element) {
  const double rows = double(B), numbers = rows * double(columns);
  return {numbers + 4 * rows, 2 * numbers * double(element) + (4 + 3 * 8) * rows};
}

namespace detail {

/// Work of the rule an element, and how many streams of the parameters' type it moves beside g: p read and written, and
/// each buffer. The gradient's factor (1 without clipping and loss scaling) is not counted.
constexpr Cost optimizer_rule(const OptimizerOptions& options) {
  double flop = 2, streams = 2;  // p <- p - rate g
  switch (options.kind) {
    case Optimizer::sgd:
      if (options.momentum != 0) flop += 2, streams += 2;
      break;
    case Optimizer::adagrad:
      flop += 5, streams += 2;  // square and add (2), root, + epsilon, division
      break;
    case Optimizer::adam:
    case Optimizer::adamw:
      flop += 3 + 4 + 4, streams += 4;  // m; v; root, its scale, + epsilon, division
      break;
  }
  if (options.weight_decay != 0) flop += options.kind == Optimizer::adamw ? 1 : 2;
  return {flop, streams};
}

}  // namespace detail

/// Reads g, p and the rule's buffers once, writes p and the buffers once.
constexpr Cost optimizer_update(const OptimizerOptions& options, index_t n, index_t element) {
  const Cost rule = detail::optimizer_rule(options);
  return Cost{rule.flop, (rule.byte + 1) * double(element)} * double(n);
}

/// The same in float, and writes a copy of p in `storage` bytes.
constexpr Cost optimizer_update_mixed(const OptimizerOptions& options, index_t n, index_t storage) {
  return optimizer_update(options, n, 4) + Cost{0, double(storage)} * double(n);
}

/// Reads the n elements of all cells; a square and an addition an element. Cells and their sums are not counted.
constexpr Cost norm_squared(index_t n, index_t element) { return Cost{2, double(element)} * double(n); }

/// Reads and writes g, where it must be clipped.
constexpr Cost clip_by_norm(index_t n, index_t element) { return Cost{1, 2 * double(element)} * double(n); }

/// Reads both, writes one: two products and an addition an element.
constexpr Cost statistics_update(index_t n, index_t element) { return Cost{3, 3 * double(element)} * double(n); }

}  // namespace partita::kernels::cost
