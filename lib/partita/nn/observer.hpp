// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/core/types.hpp>

namespace partita::nn {

/// What a step is made of. Wait: at a barrier, so that slow ranks are not taken for slow links. Backward: a whole
/// action whose halves run together.
enum class Part { forward, backward_input, backward_weights, loss, send, receive, wait, exchange, update, backward };

/// Where a step stands; -1: does not apply. A pass (forward, backward ...) of no unit is a whole action: what a stage
/// does with a micro-batch, all of its units within.
struct Moment {
  Part part = Part::forward;
  int stage = -1;
  index_t unit = -1;  ///< Unit::number()
  index_t micro_batch = -1;
  index_t piece = -1;  ///< of the rank's rows, counted over all micro-batches
  int peer = -1;
  index_t bytes = 0;    ///< that are moved
  index_t match = -1;   ///< of a message: the same number at both ends within a step
  bool replay = false;  ///< a forward done again, such as in backward for what was not kept
};

/// What a step tells of its progress: the one place where timing, gradient buckets, parameter gathering and event
/// timelines attach. Told around every leaf unit, inside composites too, and around loss, exchange and update.
///
/// Called on the host, in the order in which work is enqueued on exec; the work itself may still be running.
///   reads   ranges of the flat weights that the moment reads
///   wrote   ranges of the flat gradients that it wrote
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void before(const Moment& /*moment*/, std::span<const Range> /*reads*/, const Exec&) {}
  virtual void after(const Moment& /*moment*/, std::span<const Range> /*wrote*/, const Exec&) {}
};

}  // namespace partita::nn
