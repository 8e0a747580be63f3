// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::nn {

/// One thing that a rank does in a step: a pass of one of its stages over one micro-batch.
struct Action {
  enum class Kind { forward, backward, backward_input, backward_weights };
  Kind kind = Kind::forward;
  int stage = 0;
  index_t micro_batch = 0;

  friend bool operator==(const Action&, const Action&) = default;
};

/// The order of a rank's passes in a step: data, made by a pure function.
using Actions = std::vector<Action>;

/// F0 B0 F1 B1 ...: the order of every strategy without a pipeline, of `stages` stages that follow each other here.
Actions in_turn(index_t micro_batches, int stages = 1);
/// F0 F1 ...: inference and evaluation.
Actions forward_only(index_t micro_batches, int stages = 1);

/// What a stage must keep at most: micro-batches between forward and the last of backward; those whose backward-input
/// is done and whose backward-weights is not (0 where the halves run together); where the stage behind it is in the
/// list, too, those between that one's backward and the last of its own.
struct Peak {
  index_t slots = 0;
  index_t pending = 0;
  index_t gradients = 0;
};

/// Throws   UsageError for a list that cannot run: a backward without its forward, backward-weights before
///          backward-input, a pass done twice, a micro-batch left half done (unless no backward is in the list), or
///          micro-batches of a stage whose gradients are not taken in ascending order.
Peak peak(std::span<const Action> actions, int stage);

}  // namespace partita::nn
