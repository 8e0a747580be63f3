// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/attendance.hpp>

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/driver/run_options.hpp>

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

Attendance::Attendance(const comm::Environment& env)
    : start_ns_(now_ns()),
      watchdog_(RunOptions().hang_timeout_s,
                [this, &env](index_t step, const char* doing) {
                  env.abort(ExitCode::incomplete,
                            fmt::format("run.hang_timeout_s: no progress for {} s after step {}, in {}",
                                        watchdog_.timeout_s(), step, doing));
                }),
      early_(std::make_unique<EarlyStop>([this] { return reason(signal_.received(), late()); },
                                         [&env](const std::string& why) {
                                           env.abort(ExitCode::incomplete,
                                                     fmt::format("the run ended before its first step: {}", why));
                                         })) {
  watchdog_.beat(0, "reading the deck");
}

void Attendance::set_limits(double hang_timeout_s, double time_limit_s) {
  watchdog_.set_timeout(hang_timeout_s);
  time_limit_s_ = time_limit_s;
}

bool Attendance::late() const { return time_limit_s_ > 0 && seconds(now_ns() - start_ns_) > time_limit_s_; }

std::string Attendance::reason(int signal, bool late) const {
  if (late) return fmt::format("run.time_limit_s = {} s are over", time_limit_s_.load());
  return signal == 0 ? "" : fmt::format("signal {}", signal_name(signal));
}

}  // namespace partita::driver
