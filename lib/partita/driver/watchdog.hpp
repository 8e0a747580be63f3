// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <partita/comm/waits.hpp>
#include <partita/comm/watch_line.hpp>
#include <partita/driver/hang_report.hpp>

namespace partita::driver {

/// Sees to it that no rank of a job is silent for longer than a limit, on a thread of its own.
///
/// A sign of life is a beat, another phase, or a wait of comm that begins or ends. A rank without one for the limit
/// raises the alarm, and so does one whose neighbour's watchdog has said nothing for so long: that process has stopped,
/// even where nobody waits for it. Then the lowest rank that lives asks all for a report, judges what it gets within a
/// second, and hands it to `ended`, which prints and ends the job. Where watchdogs cannot talk (MPI has no
/// MPI_THREAD_MULTIPLE), each tells of itself.
///
/// Time in which this thread itself was held up (the job was suspended, the machine is busy) counts for nobody.
///
/// Cost     looks 4 to 100 times a second, and a note to the next rank twice a second; nothing where there is no limit.
class Watchdog {
 public:
  /// Must not return to the run: it ends the process.
  using Ended = std::function<void(const Judgement&)>;

  /// All ranks make theirs in the same order, with the same limit; 0: none. The line (null: there is one rank) and the
  /// board outlive it.
  Watchdog(comm::WatchLine* line, const comm::WaitBoard& waits, double limit_s, Ended ended);
  /// Tells who watches this rank that it leaves.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Hold from now on, and are themselves a sign of life. step_limit_s: within steps, if there is a limit; 0: the same.
  void set_limits(double limit_s, double step_limit_s = 0);

  /// Progress was made; `doing` names what comes next (a literal).
  void beat(index_t step, const char* doing, bool is_step = false) {
    step_.store(step, std::memory_order_relaxed);
    doing_.store(doing, std::memory_order_relaxed);
    in_step_.store(is_step, std::memory_order_relaxed);
    beats_.fetch_add(1, std::memory_order_release);
  }

  /// Where a metrics::PhaseTimer shows the phase that is open, one of `names`.
  std::atomic<std::int64_t>& show_phases(std::vector<std::string> names);

 private:
  struct Note;
  struct Life {
    std::int64_t beats, phase;
    std::uint64_t waits;
    bool operator==(const Life&) const = default;
  };
  enum class State { watching, alarmed, asked, asking };

  bool talks() const { return line_ != nullptr && line_->open(); }
  void watch();
  bool look(std::int64_t now);
  void take_notes(std::int64_t now);
  void heed(const Note& note, int from, std::int64_t now);
  void send(int kind, int to, std::int64_t now);
  void ask(std::int64_t now);
  bool all_answered() const;
  void go_on_watching(std::int64_t now);
  double limit_s() const;
  std::int64_t nap_ns() const;
  Life life() const;
  RankReport report(std::int64_t now) const;

  comm::WatchLine* line_;
  const comm::WaitBoard& waits_;
  Ended ended_;

  // Signs of life, by the run.
  std::atomic<index_t> step_{0};
  std::atomic<const char*> doing_{"start"};
  std::atomic<bool> in_step_{false};
  std::atomic<std::int64_t> beats_{0};
  std::atomic<std::int64_t> phase_{0};

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  double limit_s_, step_limit_s_ = 0;
  std::vector<std::string> phases_;
  bool done_ = false, changed_ = true;

  // Of the thread.
  int generation_;
  State state_ = State::watching;
  Life seen_{-1, 0, 0};
  std::int64_t looked_ns_, alive_ns_, heard_ns_, sent_ns_ = 0, since_ns_ = 0, patient_until_ns_ = 0;
  bool left_is_gone_ = false;
  std::vector<std::optional<RankReport>> reports_;
  std::vector<int> gone_;
  std::thread thread_;
};

}  // namespace partita::driver
