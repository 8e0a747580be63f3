// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/attendance.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/terminal.hpp>

namespace partita::driver {

EarlyStop::EarlyStop(std::function<std::string()> reason, std::function<void(const std::string&)> stop)
    : thread_([this, reason = std::move(reason), stop = std::move(stop)] {
        while (!done_) {
          if (const std::string why = reason(); !why.empty()) return stop(why);
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
      }) {}

EarlyStop::~EarlyStop() {
  done_ = true;
  thread_.join();
}

Attendance::Attendance(comm::Environment& env)
    : env_(env),
      start_ns_(now_ns()),
      hang_timeout_s_(RunOptions().hang_timeout_s),
      watchdog_(&env.watch_line(), env.traffic().waits(), hang_timeout_s_,
                [this](const Judgement& judgement) { hangs(judgement); }),
      early_(std::make_unique<EarlyStop>([this] { return reason(signal_.received(), late()); },
                                         [&env](const std::string& why) {
                                           env.abort(ExitCode::incomplete,
                                                     fmt::format("the run ended before its first step: {}", why));
                                         })) {
  watchdog_.beat(0, "reading the deck");
}

void Attendance::set_limits(double hang_timeout_s, bool learns, double time_limit_s) {
  hang_timeout_s_ = hang_timeout_s;
  learns_ = learns;
  watchdog_.set_limits(hang_timeout_s);
  time_limit_s_ = time_limit_s;
}

void Attendance::learn(double longest_step_s) {
  constexpr double least_s = 30, steps = 20;
  if (!learns_) return;
  const double limit_s = std::max(least_s, steps * env_.world().allreduce(longest_step_s, comm::Op::max));
  watchdog_.set_limits(std::max(hang_timeout_s_, limit_s), limit_s);
}

std::atomic<std::int64_t>& Attendance::show_phases(const std::vector<metrics::Phase>& phases) {
  std::vector<std::string> names;
  for (const metrics::Phase& phase : phases) names.push_back(phase.name);
  return watchdog_.show_phases(std::move(names));
}

void Attendance::mark_with(std::function<void(const std::string& reason)> mark) {
  const auto lock = writing();
  mark_ = std::move(mark);
}

// Says what could not be done; nothing where there is no record yet.
std::string Attendance::mark(const std::string& reason) {
  const std::unique_lock lock(files_, std::chrono::milliseconds(300));
  if (!lock.owns_lock()) return "; the record is not marked: this rank is writing files";
  try {
    if (mark_) mark_(reason);
  } catch (const std::exception& error) {
    return fmt::format("; the record is not marked: {}", error.what());
  }
  return "";
}

void Attendance::hangs(const Judgement& judgement) {
  std::string message = "run.hang_timeout_s: " + judgement.reason;
  if (env_.rank() == 0) message += mark("hang: " + judgement.reason);
  say_aside(judgement.lines);
  if (env_.watch_line().open()) env_.end(ExitCode::incomplete, message);
  env_.abort(ExitCode::incomplete, message);
}

bool Attendance::late() const { return time_limit_s_ > 0 && seconds(now_ns() - start_ns_) > time_limit_s_; }

std::string Attendance::reason(int signal, bool late) const {
  if (late) return fmt::format("run.time_limit_s = {} s are over", time_limit_s_.load());
  return signal == 0 ? "" : fmt::format("signal {}", signal_name(signal));
}

}  // namespace partita::driver
