// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>

namespace partita::nn {

/// What a gradient pass tells an exchange between units.
class Progress {
 public:
  virtual ~Progress() = default;
  /// The sum over my pieces of this range of the flat gradient has been enqueued: nothing is added to it any more.
  virtual void ready(const Exec&, Range) {}
  /// Called after every unit of a backward pass: a collective under way may go on. Never blocks.
  virtual void progress() {}
};

}  // namespace partita::nn
