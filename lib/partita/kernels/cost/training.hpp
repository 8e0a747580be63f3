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

/// Reads g, p and the rule's buffers once, writes p and the buffers once.
constexpr Cost optimizer_update(const OptimizerOptions& options, index_t n, index_t element) {
  double flop = 2, streams = 3;  // p <- p - rate g
  switch (options.kind) {
    case Optimizer::sgd:
      if (options.momentum != 0) flop += 2, streams += 2;
      break;
    case Optimizer::adagrad:
      flop += 5, streams += 2;  // square and add (2), root, + epsilon, division
      break;
    case Optimizer::adam:
      flop += 3 + 4 + 4, streams += 4;  // m; v; root, two divisions, + epsilon
      break;
  }
  if (options.weight_decay != 0) flop += 2;
  return Cost{flop, streams * double(element)} * double(n);
}

}  // namespace partita::kernels::cost
