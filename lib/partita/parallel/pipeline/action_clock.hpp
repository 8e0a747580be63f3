// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include <partita/core/clock.hpp>
#include <partita/core/index.hpp>

namespace partita::parallel {

/// Seconds of a rank's actions in the steps of a run, added up: at work, and waiting for messages. Everything between
/// begin_step and end_step is one or the other, or lies before the first action or behind the last one.
class ActionClock {
 public:
  explicit ActionClock(index_t actions)
      : work_s_(static_cast<std::size_t>(actions), 0), wait_s_(static_cast<std::size_t>(actions), 0) {}

  /// The step that now begins counts, or not.
  void begin_step(bool counts) {
    counts_ = counts;
    at_ = 0;
    begin_ns_ = last_ns_ = now_ns();
  }
  /// What the rank does between two actions counts as work of the later one.
  void begin_action() {
    waited_ns_ = 0;
    if (at_ > 0) return;
    const std::int64_t now = now_ns();
    if (counts_) lead_s_ += seconds(now - begin_ns_);
    last_ns_ = now;
  }
  /// Within an action: so long it did nothing but wait.
  void waited(std::int64_t ns) { waited_ns_ += ns; }
  void end_action() {
    const std::int64_t now = now_ns();
    if (counts_ && at_ < work_s_.size()) {
      work_s_[at_] += seconds(now - last_ns_ - waited_ns_);
      wait_s_[at_] += seconds(waited_ns_);
    }
    ++at_;
    last_ns_ = now;
  }
  /// All ranks are done, where they wait for each other; else this one is.
  void end_step() {
    if (!counts_) return;
    const std::int64_t now = now_ns();
    tail_s_ += seconds(now - last_ns_);
    step_s_ += seconds(now - begin_ns_);
    ++steps_;
    counts_ = false;
  }

  index_t steps() const { return steps_; }
  /// Means of a step; zeros without one.
  std::vector<double> work_s() const { return mean(work_s_); }
  std::vector<double> wait_s() const { return mean(wait_s_); }
  double lead_s() const { return mean(lead_s_); }  ///< from the step's begin to the first action
  double tail_s() const { return mean(tail_s_); }  ///< from the last action's end to the step's
  double step_s() const { return mean(step_s_); }

 private:
  double mean(double sum) const { return steps_ > 0 ? sum / static_cast<double>(steps_) : 0; }
  std::vector<double> mean(std::vector<double> sums) const {
    for (double& sum : sums) sum = mean(sum);
    return sums;
  }

  std::vector<double> work_s_, wait_s_;  // of the actions
  double lead_s_ = 0, tail_s_ = 0, step_s_ = 0;
  index_t steps_ = 0;
  std::size_t at_ = 0;
  bool counts_ = false;
  std::int64_t begin_ns_ = 0, last_ns_ = 0, waited_ns_ = 0;
};

}  // namespace partita::parallel
