// SPDX-License-Identifier: BSD-3-Clause
#include "compute.hpp"

#include <algorithm>

#include <partita/core/clock.hpp>

namespace partita::comm_bench {

Compute::Compute() : x_(256, 1.0F) {
  constexpr index_t some = 20'000;  // a millisecond or so
  for (int again = 0; again < 3; ++again) {
    const std::int64_t start = now_ns();
    run(some);
    rounds_per_s_ = std::max(rounds_per_s_, static_cast<double>(some) / seconds(now_ns() - start));
  }
}

index_t Compute::rounds(double seconds) const {
  return std::max<index_t>(1, static_cast<index_t>(seconds * rounds_per_s_));
}

void Compute::run(index_t rounds) {
  for (index_t r = 0; r < rounds; ++r) {
    for (float& x : x_) x = 0.999F * x + 0.001F;  // stays 1
    float* const kept = x_.data();
    asm volatile("" : : "g"(kept) : "memory");  // nobody reads them, and yet they are computed
  }
}

}  // namespace partita::comm_bench
