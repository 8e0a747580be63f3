// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/core/named.hpp>

namespace partita::parallel::server {

/// Laws of the time that a worker needs for a gradient.
enum class ComputeTime { constant, exponential, shifted_exponential, lognormal, pareto, uniform, trace, calibrated };
inline constexpr Named<ComputeTime> compute_times[] = {{"constant", ComputeTime::constant},
                                                       {"exponential", ComputeTime::exponential},
                                                       {"shifted_exponential", ComputeTime::shifted_exponential},
                                                       {"lognormal", ComputeTime::lognormal},
                                                       {"pareto", ComputeTime::pareto},
                                                       {"uniform", ComputeTime::uniform},
                                                       {"trace", ComputeTime::trace},
                                                       {"calibrated", ComputeTime::calibrated}};

struct ComputeTimeOptions {
  ComputeTime kind = ComputeTime::constant;
  double mean_s = 1;               ///< of every law, a shift included; of a trace only with scale_trace
  double shift_s = 0;              ///< shifted exponential, uniform: the shortest time
  double shape = 1;                ///< lognormal: deviation of the logarithm; pareto: exponent, above 1
  std::vector<double> trace = {};  ///< trace, calibrated: seconds
  bool scale_trace = false;
};

/// Seconds of computations, as functions of (seed, worker, number) alone.
///
///     constant             mean
///     exponential          -mean ln u
///     shifted_exponential  shift - (mean - shift) ln u
///     lognormal            mean exp(shape z - shape^2 / 2)
///     pareto               mean (1 - 1 / shape) u^(-1 / shape)
///     uniform              shift + 2 (mean - shift) u
///     trace, calibrated    times of a list one after the other, from a place of the worker's own, and round again
class ComputeTimes {
 public:
  /// Throws   UsageError for a mean, shift or shape that the law cannot have, and a list that is empty or has a time
  ///          that is not above 0.
  ComputeTimes(ComputeTimeOptions options, std::uint64_t seed);

  double draw(int worker, index_t n) const;

 private:
  ComputeTimeOptions options_;
  std::uint64_t seed_;
  double scale_ = 1;  // of a trace
};

/// Times of a text file: a number above 0 in each line; # begins a comment.
/// Throws   UsageError naming file and line.
std::vector<double> read_trace(const std::string& path);

}  // namespace partita::parallel::server
