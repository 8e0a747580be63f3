// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/random.hpp>

namespace partita::data {

/// Which sample is row b of the global batch of a step: a function of (seed, epoch, position) alone, so that every rank
/// knows its rows without talking, and the order is the same on any number of ranks.
///
/// An epoch is a fresh random order of all samples, cut into floor(samples / batch) whole batches; the samples % batch
/// that come last in that order sit the epoch out. Trivially copyable: kernels capture it.
class Sampler {
 public:
  /// Throws   UsageError unless 1 <= batch <= samples.
  Sampler(std::uint64_t seed, index_t samples, index_t batch);

  /// Needs step >= 0, 0 <= b < batch().
  KOKKOS_INLINE_FUNCTION index_t sample(index_t step, index_t b) const {
    const index_t position = step % steps_per_epoch_ * batch_ + b;
    return permute(seed_, static_cast<std::uint64_t>(step / steps_per_epoch_), position, samples_);
  }

  KOKKOS_INLINE_FUNCTION index_t epoch(index_t step) const { return step / steps_per_epoch_; }
  KOKKOS_INLINE_FUNCTION index_t steps_per_epoch() const { return steps_per_epoch_; }
  KOKKOS_INLINE_FUNCTION std::uint64_t seed() const { return seed_; }
  KOKKOS_INLINE_FUNCTION index_t samples() const { return samples_; }
  KOKKOS_INLINE_FUNCTION index_t batch() const { return batch_; }

 private:
  std::uint64_t seed_;
  index_t samples_;
  index_t batch_;
  index_t steps_per_epoch_;
};

}  // namespace partita::data
