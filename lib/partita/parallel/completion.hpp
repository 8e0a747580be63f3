// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <vector>

#include <partita/core/error.hpp>
#include <partita/core/index.hpp>

namespace partita::parallel {

/// Which of some adjacent ranges of a flat buffer are complete, as parts of them become so.
class Completion {
 public:
  /// Range k is [bounds[k], bounds[k + 1]).
  explicit Completion(std::vector<index_t> bounds) : bounds_(std::move(bounds)), missing_(bounds_.size() - 1) {
    restart();
  }

  int ranges() const { return static_cast<int>(missing_.size()); }
  Range range(int k) const {
    const auto at = static_cast<std::size_t>(k);
    return {bounds_[at], bounds_[at + 1] - bounds_[at]};
  }
  const std::vector<index_t>& bounds() const { return bounds_; }
  /// The range that holds an element.
  int holding(index_t element) const {
    return static_cast<int>(std::upper_bound(bounds_.begin(), bounds_.end(), element) - bounds_.begin()) - 1;
  }

  void restart() {
    for (int k = 0; k < ranges(); ++k) restart(k);
  }
  void restart(int k) { missing_[static_cast<std::size_t>(k)] = range(k).extent; }
  /// Calls done(k) for every range that lacks nothing more, the last one first, as a backward pass goes.
  /// Throws   Error for a part that was complete already.
  template <class Done>
  void add(Range part, const Done& done) {
    if (part.extent == 0) return;
    for (int k = holding(part.end() - 1); k >= 0 && range(k).end() > part.offset; --k) {
      const Range whole = range(k);
      index_t& missing = missing_[static_cast<std::size_t>(k)];
      if (whole.extent == 0) continue;
      missing -= std::min(whole.end(), part.end()) - std::max(whole.offset, part.offset);
      if (missing < 0) refuse<Error>("parallel", "a range of the gradient was complete twice in one step", "once");
      if (missing == 0) done(k);
    }
  }
  /// Throws   Error unless all are complete.
  void require_all() const {
    for (const index_t missing : missing_)
      if (missing > 0)
        refuse<Error>("parallel", "a range of the gradient was not complete at the end of a step", "all of it");
  }

 private:
  std::vector<index_t> bounds_, missing_;
};

}  // namespace partita::parallel
