// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include <partita/comm/waits.hpp>
#include <partita/comm/work.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/index.hpp>

namespace partita::comm {

/// What this rank did for one kind of operation on one mesh axis.
///
/// The algorithms of this library count every message where it is posted. For MPI's own collectives, whose messages
/// nobody sees, a call counts as one message and its payload as the bytes sent.
struct TrafficEntry {
  std::string operation;  ///< "allreduce", "tree_allreduce", "broadcast", ...
  std::string algorithm;  ///< "mpi", "ring", ...
  std::string axis;       ///< name of the communicator
  index_t calls = 0;
  index_t messages = 0;
  index_t sent_bytes = 0;
  double seconds = 0.0;            ///< inside the calls, waiting included; not what passes between start and finish
  double expected_messages = 0.0;  ///< closed form of messages
  double expected_bytes = 0.0;     ///< closed form of sent_bytes
  double predicted_s = 0.0;        ///< model of seconds; 0 where nobody made one
  Work work = {};  ///< that the algorithm has in these calls: a prediction of seconds, with MachineRates
};

/// The table of them, owned by Environment; communicators made from its world point at it. Control messages (host
/// metadata, verdicts, barriers) are not in it: it shows what a strategy moves.
class Traffic {
 public:
  /// The entry of these three names, made when it is new. The address stays good: plans look it up once.
  TrafficEntry& entry(std::string_view operation, std::string_view algorithm, std::string_view axis);

  const std::deque<TrafficEntry>& entries() const { return entries_; }

  /// What this rank waits for at the moment, on any of those communicators.
  WaitBoard& waits() { return waits_; }

  /// Whether ranks compare each collective call (CallCheck). All set it between the same calls.
  bool checks_calls() const { return checks_calls_; }
  void check_calls(bool check) { checks_calls_ = check; }

  /// Zeroes the numbers, keeps the entries: after warm-up.
  void reset();

 private:
  std::deque<TrafficEntry> entries_;
  WaitBoard waits_;
  bool checks_calls_ = false;
};

/// Counts the seconds of its life; a null entry counts nothing.
class TrafficClock {
 public:
  explicit TrafficClock(TrafficEntry* entry) : entry_(entry), start_ns_(entry == nullptr ? 0 : now_ns()) {}
  ~TrafficClock() {
    if (entry_ != nullptr) entry_->seconds += seconds(now_ns() - start_ns_);
  }
  TrafficClock(const TrafficClock&) = delete;
  TrafficClock& operator=(const TrafficClock&) = delete;
  /// When it began; 0 where it counts nothing.
  std::int64_t start_ns() const { return start_ns_; }

 private:
  TrafficEntry* entry_;
  std::int64_t start_ns_;
};

}  // namespace partita::comm
