// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <span>

namespace partita::nn {

enum class Pass { forward, backward_input, backward_weights };

/// What a model tells of its progress: the one place where timing, gradient buckets and event timelines attach.
///
/// Called on the host, in the order in which work is enqueued on exec; the work itself may still be running.
/// `final` names the gradient ranges whose last contribution has just been enqueued (only after backward_weights).
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void before(index_t /*unit*/, Pass, index_t /*slot*/, const Exec&) {}
  virtual void after(index_t /*unit*/, Pass, index_t /*slot*/, std::span<const Range> /*final*/, const Exec&) {}
};

}  // namespace partita::nn
