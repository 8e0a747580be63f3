// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <partita/comm/environment.hpp>
#include <partita/driver/stop_signal.hpp>
#include <partita/driver/watchdog.hpp>
#include <partita/metrics/phase.hpp>

namespace partita::driver {

/// Asks ten times a second, on a thread of its own, whether there is a reason to stop, and hands it to `stop` once.
class EarlyStop {
 public:
  EarlyStop(std::function<std::string()> reason, std::function<void(const std::string&)> stop);
  ~EarlyStop();
  EarlyStop(const EarlyStop&) = delete;
  EarlyStop& operator=(const EarlyStop&) = delete;

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

/// What looks after a process from its first collective call on: signals, the time limit, the hang timeout.
///
/// Until under_way() there is nothing worth saving: a signal or the time limit ends the job within a fraction of a
/// second, whatever its ranks are doing, with exit code 5. Afterwards they are for the run to see (StopAgreement). A
/// hang ends the job with exit code 5 at any time: the watchdogs of the ranks find out who holds the others up, and
/// rank 0, where it lives, marks the record.
class Attendance {
 public:
  explicit Attendance(comm::Environment& env);

  /// The run's own limits, known when its deck is read; 0: none. learns: the deck names no hang timeout, and learn()
  /// may find a shorter one.
  void set_limits(double hang_timeout_s, bool learns, double time_limit_s);
  /// The hang timeout within steps, from the longest one of the warm-up, the same on all ranks: twenty of these, at
  /// least 30 s. Collective, where limits were to be learnt.
  void learn(double longest_step_s);
  void under_way() { early_.reset(); }

  /// A sign of life; `doing` names what comes next (a literal).
  void beat(index_t step, const char* doing) { watchdog_.beat(step, doing); }
  void beat_step(index_t step, const char* doing) { watchdog_.beat(step, doing, true); }
  /// Where a metrics::PhaseTimer shows the phase that is open.
  std::atomic<std::int64_t>& show_phases(const std::vector<metrics::Phase>& phases);

  /// Held by whoever uses HDF5 on this rank while watchdogs may want to mark the record: never two threads at once.
  [[nodiscard]] std::unique_lock<std::timed_mutex> writing() { return std::unique_lock(files_); }
  /// What marks the record when the job hangs, given why; null: nothing. Called under writing(), which this takes, too.
  void mark_with(std::function<void(const std::string& reason)> mark);

  const StopSignal& signal() const { return signal_; }
  /// Whether this rank's time is over.
  bool late() const;
  /// "signal SIGTERM", "run.time_limit_s = 5 s are over".
  std::string reason(int signal, bool late) const;

 private:
  void hangs(const Judgement& judgement);
  std::string mark(const std::string& reason);

  comm::Environment& env_;
  std::int64_t start_ns_;
  double hang_timeout_s_;
  bool learns_ = false;
  std::timed_mutex files_;
  std::function<void(const std::string&)> mark_;  // under files_
  std::atomic<double> time_limit_s_{0};
  StopSignal signal_;
  Watchdog watchdog_;
  std::unique_ptr<EarlyStop> early_;
};

}  // namespace partita::driver
