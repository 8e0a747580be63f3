// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/core/named.hpp>

namespace partita::parallel::server {

/// How workers become slow: in each gradient by chance; to and fro along a wave; in bursts.
enum class SlowKind { random, drifting, bursty };
inline constexpr Named<SlowKind> slow_kinds[] = {
    {"random", SlowKind::random}, {"drifting", SlowKind::drifting}, {"bursty", SlowKind::bursty}};

struct SlowDownOptions {
  SlowKind kind = SlowKind::random;
  double factor = 1;       ///< of the time of a gradient, while the worker is slow
  double probability = 1;  ///< random, bursty: share of gradients that are slow
  int workers = 0;         ///< the first so many; 0: all
  double period_s = 0;     ///< drifting: from 1 to factor and back
  double burst = 10;       ///< bursty: mean gradients of a burst
};

/// Bursts shorter than that, with a single gradient between two of them, have not so large a share of the gradients.
double shortest_burst(double probability);

/// Factors of the times of workers' gradients.
///
///     random    factor with the probability, else 1; with probability 1 the worker is slow for good
///     drifting  1 + (factor - 1) (1 - cos(2 pi (t / period + phase))) / 2, a phase for each worker
///     bursty    a Markov chain over the worker's gradients, slow or not: bursts end with probability 1 / burst, and so
///               begin that the share of slow gradients is the probability
class SlowDowns {
 public:
  /// Throws   UsageError for a factor below 1, a probability outside of 0 to 1, less than 0 workers, a drift without a
  ///          period, bursts shorter than a gradient or too short for their share, and what is infinite.
  SlowDowns(const SlowDownOptions& options, std::uint64_t seed, int workers);

  /// Of the worker's gradient number n, begun now. Numbers of a worker ascend.
  double factor(int worker, index_t n, double now_s);

 private:
  bool slow_burst(int worker, index_t n);

  SlowDownOptions options_;
  std::uint64_t seed_;
  struct Chain {
    index_t next = 0;
    bool slow = false;
  };
  std::vector<Chain> chains_;
};

}  // namespace partita::parallel::server
