// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/core/index.hpp>

namespace partita::driver {

/// What a person watches: step, loss, samples/s and time left. On a terminal, also behind mpiexec, one line that
/// rewrites itself; in a log a plain line at most every 5 s, and for every evaluation. Standard output, rank 0 only.
class ProgressLine {
 public:
  /// `steps` in all, of which `first` were done by another run.
  ProgressLine(bool speaks, index_t first, index_t steps, index_t samples_per_step);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// `done` steps are done; `loss` is the last one's.
  void update(index_t done, double loss);
  void evaluated(index_t done, double loss, double accuracy);

 private:
  void clear() const;

  bool speaks_;
  bool terminal_;
  index_t first_;
  index_t steps_;
  index_t samples_per_step_;
  std::int64_t start_ns_;
  std::int64_t said_ns_;
  index_t said_done_;
};

}  // namespace partita::driver
