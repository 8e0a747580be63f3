// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include <partita/core/index.hpp>

namespace partita::driver {

/// Calls `expired` from a thread of its own when beat() has not been called for `timeout_s`; 0: never.
///
/// `expired` gets the step and the phase of the last beat and must not return to the run: it ends the process. The
/// thread sleeps between looks (a tenth of the timeout), so it takes no measurable time from the run.
class Watchdog {
 public:
  using Expired = std::function<void(index_t step, const char* doing)>;

  Watchdog(double timeout_s, Expired expired);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Holds from now on, and is itself a sign of life.
  void set_timeout(double timeout_s);
  double timeout_s() const;

  /// Progress was made; `doing` names what comes next (a literal).
  void beat(index_t step, const char* doing) {
    step_.store(step, std::memory_order_relaxed);
    doing_.store(doing, std::memory_order_relaxed);
    beats_.fetch_add(1, std::memory_order_release);
  }

 private:
  void watch();

  std::atomic<index_t> step_{0};
  std::atomic<const char*> doing_{"start"};
  std::atomic<index_t> beats_{0};
  Expired expired_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  double timeout_s_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace partita::driver
