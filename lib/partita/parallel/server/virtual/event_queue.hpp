// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::parallel::server {

/// What happens when, in virtual time. Events of one time come in the order in which they were made, so that a
/// simulation is the same each time. A binary heap: O(log n) each way.
template <class E>
class EventQueue {
 public:
  struct Entry {
    double time_s = 0;
    std::uint64_t number = 0;
    E event = {};
  };

  /// Throws   Error for a time that is over, or none.
  void push(double time_s, E event) {
    if (!(time_s >= now_s_))
      refuse<Error>("EventQueue", fmt::format("an event at {} s", time_s), fmt::format("{} s or later", now_s_));
    heap_.push_back({time_s, made_++, std::move(event)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  bool empty() const { return heap_.empty(); }
  /// The next event: it is now. Needs one.
  Entry pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Entry next = std::move(heap_.back());
    heap_.pop_back();
    now_s_ = next.time_s;
    return next;
  }
  double now() const { return now_s_; }

 private:
  static bool later(const Entry& a, const Entry& b) {
    return a.time_s != b.time_s ? a.time_s > b.time_s : a.number > b.number;
  }

  std::vector<Entry> heap_;
  std::uint64_t made_ = 0;
  double now_s_ = 0;
};

}  // namespace partita::parallel::server
