// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/sampler.hpp>

#include <partita/core/error.hpp>

namespace partita::data {

Sampler::Sampler(std::uint64_t seed, index_t samples, index_t batch)
    : seed_(seed), samples_(samples), batch_(batch), steps_per_epoch_(batch > 0 ? samples / batch : 0) {
  if (const std::string what = problem(samples, batch); !what.empty()) throw UsageError(what);
}

std::string Sampler::problem(index_t samples, index_t batch) {
  if (batch < 1) return "a global batch of " + std::to_string(batch) + " holds no sample; give at least 1";
  if (batch > samples) {
    return "a global batch of " + std::to_string(batch) + " is larger than the training set; give at most " +
           std::to_string(samples);
  }
  return {};
}

}  // namespace partita::data
