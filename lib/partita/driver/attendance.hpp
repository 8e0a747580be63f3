// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <partita/comm/environment.hpp>
#include <partita/driver/stop_signal.hpp>
#include <partita/driver/watchdog.hpp>

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
/// hang ends the job with exit code 5 at any time, named by the rank that noticed.
class Attendance {
 public:
  explicit Attendance(const comm::Environment& env);

  /// The run's own limits, known when its deck is read; 0: none.
  void set_limits(double hang_timeout_s, double time_limit_s);
  void under_way() { early_.reset(); }

  /// A sign of life; `doing` names what comes next (a literal).
  void beat(index_t step, const char* doing) { watchdog_.beat(step, doing); }

  const StopSignal& signal() const { return signal_; }
  /// Whether this rank's time is over.
  bool late() const;
  /// "signal SIGTERM", "run.time_limit_s = 5 s are over".
  std::string reason(int signal, bool late) const;

 private:
  std::int64_t start_ns_;
  std::atomic<double> time_limit_s_{0};
  StopSignal signal_;
  Watchdog watchdog_;
  std::unique_ptr<EarlyStop> early_;
};

}  // namespace partita::driver
