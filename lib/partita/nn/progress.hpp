// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/nn/observer.hpp>

namespace partita::nn {

/// What a pass tells an exchange between units. Around each leaf unit's forward and backward_input, the moments that
/// read weights, and around its backward_weights the calls are
///
///     reading   observer.before   (the unit)   observer.after   read   progress
///               observer.before   (the unit)   ready   observer.after   progress
///
/// Called on the host, in the order in which work is enqueued on exec.
class Progress {
 public:
  virtual ~Progress() = default;
  /// The unit of this moment is about to read these ranges of the flat weights (none: a unit without weights). They
  /// must be where the window says from which the pass reads; it may be moved, and each unit looks at it anew. What
  /// takes time here can be told to `observer` as a moment of its own.
  virtual void reading(const Exec&, const Moment&, std::span<const Range> /*reads*/, Observer& /*observer*/) {}
  /// The work of this moment has been enqueued: it does not need its weights any more.
  virtual void read(const Exec&, const Moment&) {}
  /// GradientSum says that this range of the flat gradient is complete: the work that adds to it has been enqueued.
  virtual void ready(const Exec&, Range) {}
  /// Called after every unit of a pass and after the loss: a collective under way may go on. Never blocks.
  virtual void progress() {}
};

}  // namespace partita::nn
