// SPDX-License-Identifier: BSD-3-Clause
// Files of compute times.
#include <cmath>

#include <partita/parallel/server/virtual/compute_times.hpp>

#include "support.hpp"

namespace partita::fuzz {

void trace(Bytes input) {
  using namespace parallel::server;
  static MemoryFile file;
  const bool scaled = take(input) % 2 == 1;
  file.set(input);
  ComputeTimeOptions options{.kind = ComputeTime::trace, .scale_trace = scaled};
  if (!accepted(file.path(), [&] { options.trace = read_trace(file.path()); })) return;
  accepted("ComputeTimes", [&] {
    const ComputeTimes times(options, 1);
    for (index_t n = 0; n < 4; ++n)
      if (const double s = times.draw(0, n); !(s > 0) || std::isinf(s)) report("a time that is none");
  });
}

}  // namespace partita::fuzz
