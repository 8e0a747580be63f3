// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <partita/core/error.hpp>
#include <partita/parallel/cuts.hpp>

namespace partita::parallel {

/// Which of some adjacent ranges of a flat buffer are complete, as parts of them become so.
class Completion {
 public:
  explicit Completion(Cuts cuts) : cuts_(std::move(cuts)), missing_(static_cast<std::size_t>(cuts_.size())) {
    restart();
  }

  const Cuts& cuts() const { return cuts_; }

  void restart() {
    for (int k = 0; k < cuts_.size(); ++k) restart(k);
  }
  void restart(int k) { missing_[static_cast<std::size_t>(k)] = cuts_[k].extent; }
  /// Calls done(k) for every range that lacks nothing more, the last one first, as a backward pass goes.
  /// Throws   Error for a part that was complete already.
  template <class Done>
  void add(Range part, const Done& done) {
    if (part.extent == 0) return;
    for (int k = cuts_.holding(part.end() - 1); k >= 0 && cuts_[k].end() > part.offset; --k) {
      const Range whole = cuts_[k];
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
  Cuts cuts_;
  std::vector<index_t> missing_;
};

}  // namespace partita::parallel
