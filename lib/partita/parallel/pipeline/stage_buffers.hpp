// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/actions.hpp>

namespace partita::parallel {

/// How many buffers a stage of a pipeline has for each kind of array; micro-batch j uses buffer j mod that number.
///
/// slots             K: what forward keeps, the output y in it (nn::peak)
/// pending           P: what backward-input leaves to backward-weights (nn::peak)
/// inputs            X = min(m, K + 1): received x, one of which is ahead of the slots
/// gradients         G = min(m, max(P, 1) + 1): received dy, one of which is ahead
/// input_gradients   D = min(m, 2): dx on their way
struct StageBuffers {
  index_t slots = 0;
  index_t pending = 0;
  index_t inputs = 0;
  index_t gradients = 0;
  index_t input_gradients = 0;

  friend bool operator==(const StageBuffers&, const StageBuffers&) = default;
};

/// Those of a stage of the rank that does `actions` with m micro-batches in a step: the runtime's, and those that
/// require_no_deadlock counts with.
///
/// Throws   UsageError as nn::peak does.
StageBuffers stage_buffers(const nn::Actions& actions, int stage, index_t micro_batches);

}  // namespace partita::parallel
