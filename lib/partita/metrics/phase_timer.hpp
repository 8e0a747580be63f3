// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <partita/core/clock.hpp>
#include <partita/core/types.hpp>
#include <partita/metrics/phase.hpp>

namespace partita::metrics {

/// Times of one step on one rank.
struct StepTimes {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::vector<double> phase_s;  ///< seconds of each phase; their sum is at most end - start
};

/// Splits the time of a step over its phases.
///
/// Phases exclude each other: opening one inside another stops the outer one until the inner closes, so that the phases
/// of a step never sum to more than the step; what no phase covers is in none. Outside a step phases are ignored, so
/// that the code of an evaluation may open them too. A phase may be opened any number of times in a step.
///
/// Runs     begin_step, phase, mark and end_step read the clock once each. On a host backend that is all: kernels are
///          synchronous there. On a device they fence exec first. No allocation but in the constructor.
/// Clock    a callable that returns ns; another one than the default is for tests.
template <class Clock>
class BasicPhaseTimer {
 public:
  explicit BasicPhaseTimer(std::vector<Phase> phases, Clock clock = {})
      : phases_(std::move(phases)), clock_(std::move(clock)), phase_ns_(phases_.size(), 0) {
    times_.phase_s.resize(phases_.size());
  }

  /// Ends its phase when it goes, and resumes the one that was open before.
  class [[nodiscard]] Scope {
   public:
    Scope(BasicPhaseTimer& timer, int phase, const Exec& exec) : timer_(timer), exec_(exec), outer_(timer.current_) {
      timer_.mark(phase, exec_);
    }
    ~Scope() { timer_.mark(outer_, exec_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    BasicPhaseTimer& timer_;
    const Exec& exec_;
    int outer_;
  };

  const std::vector<Phase>& phases() const { return phases_; }

  /// From now on another thread sees there which phase is open: its index + 1 (0: none) in the lowest 16 bits, the
  /// number of changes so far above. `where` outlives the timer.
  void show(std::atomic<std::int64_t>& where) {
    shown_ = &where;
    show_phase();
  }

  void begin_step(const Exec& exec) {
    phase_ns_.assign(phase_ns_.size(), 0);
    current_ = no_phase;
    in_step_ = true;
    last_ns_ = times_.start_ns = read(exec);
  }

  /// Opens a phase until the scope ends. `exec` must outlive the scope.
  Scope phase(int phase, const Exec& exec) { return Scope(*this, phase, exec); }

  /// From here on the time is that of `phase` (no_phase: of none), without a scope.
  void mark(int phase, const Exec& exec) {
    assert(phase >= no_phase && phase < static_cast<int>(phases_.size()));
    if (!in_step_) return;
    charge(exec);
    current_ = phase;
    show_phase();
  }

  /// The times of the step that ends here; they stay valid until the next begin_step.
  const StepTimes& end_step(const Exec& exec) {
    assert(in_step_);
    charge(exec);
    in_step_ = false;
    current_ = no_phase;
    show_phase();
    times_.end_ns = last_ns_;
    for (std::size_t p = 0; p < phase_ns_.size(); ++p) times_.phase_s[p] = 1e-9 * static_cast<double>(phase_ns_[p]);
    return times_;
  }

  static constexpr int no_phase = -1;

 private:
  std::int64_t read(const Exec& exec) {
    if constexpr (!std::is_same_v<Exec, HostExec>) {
      static const std::string label = "partita::metrics::PhaseTimer";  // made once: a step allocates nothing
      exec.fence(label);
    }
    return clock_();
  }

  void show_phase() {
    if (shown_ != nullptr) shown_->store(++changes_ << 16 | (current_ + 1), std::memory_order_relaxed);
  }

  // Time since the last reading belongs to the phase that was open meanwhile.
  void charge(const Exec& exec) {
    const std::int64_t now = read(exec);
    if (current_ != no_phase) phase_ns_[static_cast<std::size_t>(current_)] += now - last_ns_;
    last_ns_ = now;
  }

  std::vector<Phase> phases_;
  Clock clock_;
  std::vector<std::int64_t> phase_ns_;
  StepTimes times_;
  std::int64_t last_ns_ = 0;
  int current_ = no_phase;
  bool in_step_ = false;
  std::atomic<std::int64_t>* shown_ = nullptr;
  std::int64_t changes_ = 0;
};

struct MonotonicClock {
  std::int64_t operator()() const { return now_ns(); }
};

using PhaseTimer = BasicPhaseTimer<MonotonicClock>;

}  // namespace partita::metrics
