// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <numbers>

#include <partita/core/types.hpp>

namespace partita::nn {

/// How the learning rate moves over a run of S steps, as a factor of its first value:
///   constant   1
///   cosine     (1 + cos(pi s / S)) / 2, from 1 towards 0 (Loshchilov and Hutter 2017, without restarts)
enum class LearningRate { constant, cosine };

inline double learning_rate_factor(LearningRate schedule, index_t step, index_t steps) {
  if (schedule == LearningRate::constant) return 1;
  return (1 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps))) / 2;
}

}  // namespace partita::nn
