// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/index.hpp>

namespace partita::comm_bench {

/// Work of a fixed amount on the host, to hide communication behind: multiply-adds in the core's first cache.
class Compute {
 public:
  /// Finds how fast this core is.
  Compute();
  /// The rounds that take so long, at least 1.
  index_t rounds(double seconds) const;
  void run(index_t rounds);

 private:
  std::vector<float> x_;
  double rounds_per_s_ = 1;
};

}  // namespace partita::comm_bench
