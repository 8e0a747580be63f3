// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/bounded_queue.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>

namespace partita::data {
namespace {

// Longer waits than a day are as good as that, and do not overflow.
std::chrono::nanoseconds duration(double s) {
  constexpr double most_s = 86400;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * std::clamp(s, 0.0, most_s)));
}

}  // namespace

bool Nap::sleep(const std::stop_token& stop, double s) {
  std::unique_lock lock(mutex_);
  never_.wait_for(lock, stop, duration(s), [] { return false; });
  return !stop.stop_requested();
}

BoundedQueue::BoundedQueue(index_t capacity) : capacity_(capacity) {
  if (capacity < 1)
    refuse<UsageError>("BoundedQueue", "a capacity of " + std::to_string(capacity) + " rows", "at least 1");
}

index_t BoundedQueue::room() const {
  const std::lock_guard lock(mutex_);
  return fill_ < capacity_ ? (first_ + fill_) % capacity_ : -1;
}

index_t BoundedQueue::wait_for_room(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool free = freed_.wait(lock, stop, [&] { return fill_ < capacity_; });
  return free && !stop.stop_requested() ? (first_ + fill_) % capacity_ : -1;
}

void BoundedQueue::push() {
  bool enough = false;
  {
    const std::lock_guard lock(mutex_);
    ++fill_;
    enough = wanted_ > 0 && fill_ >= wanted_;
  }
  if (enough) came_.notify_one();
}

void BoundedQueue::drop() {
  const std::lock_guard lock(mutex_);
  ++counts_.dropped;
}

void BoundedQueue::fail(std::exception_ptr why) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(why);
  }
  came_.notify_one();
}

index_t BoundedQueue::wait(index_t rows, double most_s) {
  std::unique_lock lock(mutex_);
  const auto there = [&] { return fill_ >= rows || failure_ != nullptr; };
  if (!there()) {
    const std::int64_t since = now_ns();
    wanted_ = rows;
    came_.wait_for(lock, duration(most_s), there);
    wanted_ = 0;
    counts_.starved_s += seconds(now_ns() - since);
  }
  return fill_;
}

index_t BoundedQueue::front() const {
  const std::lock_guard lock(mutex_);
  return first_;
}

void BoundedQueue::pop(index_t rows) {
  {
    const std::lock_guard lock(mutex_);
    if (rows > fill_)
      refuse<ShapeError>("BoundedQueue",
                         std::to_string(rows) + " rows are taken, " + std::to_string(fill_) + " lie there",
                         "at most as many");
    counts_.least_fill = counts_.takes == 0 ? fill_ : std::min(counts_.least_fill, fill_);
    counts_.fill_sum += fill_;
    ++counts_.takes;
    counts_.delivered += rows;
    first_ = (first_ + rows) % capacity_;
    fill_ -= rows;
  }
  freed_.notify_one();
}

std::exception_ptr BoundedQueue::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

QueueCounts BoundedQueue::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void BoundedQueue::forget_counts() {
  const std::lock_guard lock(mutex_);
  counts_ = {};
}

}  // namespace partita::data
