// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/sampler.hpp>

#include <string>

#include <partita/core/error.hpp>

namespace partita::data {

Sampler::Sampler(std::uint64_t seed, index_t samples, index_t batch)
    : seed_(seed), samples_(samples), batch_(batch), steps_per_epoch_(batch > 0 ? samples / batch : 0) {
  if (batch < 1 || batch > samples)
    refuse<UsageError>("Sampler",
                       "a batch of " + std::to_string(batch) + " out of " + std::to_string(samples) + " samples",
                       "at least 1 and at most as many");
}

}  // namespace partita::data
