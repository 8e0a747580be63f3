// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::metrics {

/// One thing that one rank did in a step: a row of /events. -1: does not apply. What `part` and `unit` number is named
/// by the workload (driver::Workload::event_parts, event_units).
struct Event {
  index_t step = -1;
  std::int16_t part = -1;  ///< forward, backward, send, exchange, ...
  int stage = -1;
  int unit = -1;
  int micro_batch = -1;
  int piece = -1;  ///< of the micro-batch
  int peer = -1;   ///< rank that it talks to
  index_t bytes = 0;
  index_t match = -1;         ///< of a message: the same number at both ends within a step
  std::int64_t start_ns = 0;  ///< on the rank's own clock
  std::int64_t end_ns = 0;
};

/// Keeps the events of the chosen steps on one rank. All memory is taken at construction: add() may stand in a timed
/// step. What finds no room is dropped and counted, never written over.
class EventLog {
 public:
  /// Wants no step.
  EventLog() = default;
  /// Wants steps first .. last, both included; room for `capacity` events between two calls of drain().
  EventLog(index_t first, index_t last, index_t capacity) : first_(first), last_(last), capacity_(capacity) {
    events_.reserve(static_cast<std::size_t>(capacity));
  }

  /// To be asked before the clock is read for an event: the steps of a run that are not chosen cost this comparison.
  bool wants(index_t step) const { return first_ <= step && step <= last_; }

  void add(const Event& event) {
    if (static_cast<index_t>(events_.size()) < capacity_)
      events_.push_back(event);
    else
      ++dropped_;
  }

  /// The events since the last call, in the order in which they were added; forgets them. Allocates.
  std::vector<Event> drain() {
    std::vector<Event> events(events_.begin(), events_.end());
    events_.clear();
    return events;
  }

  /// Events that found no room so far.
  index_t dropped() const { return dropped_; }

 private:
  index_t first_ = 0;
  index_t last_ = -1;
  index_t capacity_ = 0;
  index_t dropped_ = 0;
  std::vector<Event> events_;
};

}  // namespace partita::metrics
