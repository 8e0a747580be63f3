// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <partita/core/clock.hpp>
#include <partita/driver/watchdog.hpp>
#include <utility>

namespace partita::driver {

Watchdog::Watchdog(double timeout_s, Expired expired) {
  if (timeout_s <= 0) return;
  thread_ = std::thread([this, timeout_s, expired = std::move(expired)] { watch(timeout_s, expired); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::watch(double timeout_s, const Expired& expired) {
  index_t seen = -1;
  std::int64_t since_ns = now_ns();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::duration<double>(timeout_s / 10), [this] { return done_; })) {
    const index_t beats = beats_.load(std::memory_order_acquire);
    if (beats != seen) {
      seen = beats;
      since_ns = now_ns();
    } else if (seconds(now_ns() - since_ns) > timeout_s) {
      expired(step_.load(std::memory_order_relaxed), doing_.load(std::memory_order_relaxed));
      return;
    }
  }
}

}  // namespace partita::driver
