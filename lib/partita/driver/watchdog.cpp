// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/watchdog.hpp>

#include <chrono>
#include <utility>

#include <partita/core/clock.hpp>

namespace partita::driver {

Watchdog::Watchdog(double timeout_s, Expired expired) : expired_(std::move(expired)), timeout_s_(timeout_s) {
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::set_timeout(double timeout_s) {
  {
    const std::lock_guard lock(mutex_);
    timeout_s_ = timeout_s;
  }
  beats_.fetch_add(1, std::memory_order_release);
  wake_.notify_all();
}

double Watchdog::timeout_s() const {
  const std::lock_guard lock(mutex_);
  return timeout_s_;
}

void Watchdog::watch() {
  index_t seen = -1;
  std::int64_t since_ns = now_ns();
  std::unique_lock lock(mutex_);
  while (!done_) {
    if (timeout_s_ > 0)
      wake_.wait_for(lock, std::chrono::duration<double>(timeout_s_ / 10));
    else
      wake_.wait(lock);
    const index_t beats = beats_.load(std::memory_order_acquire);
    if (beats != seen) {
      seen = beats;
      since_ns = now_ns();
    } else if (!done_ && timeout_s_ > 0 && seconds(now_ns() - since_ns) > timeout_s_) {
      lock.unlock();  // who is called may ask for the timeout
      expired_(step_.load(std::memory_order_relaxed), doing_.load(std::memory_order_relaxed));
      return;
    }
  }
}

}  // namespace partita::driver
