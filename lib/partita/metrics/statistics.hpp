// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/core/index.hpp>

namespace partita::metrics {

// Order statistics of samples in any order. All return NaN for no samples, and when a sample is NaN: a missing
// measurement must not pass for a measured one. Cost O(n log n) at most, one copy of the samples.

/// A value with the bounds of its confidence interval (NaN: not known).
struct Interval {
  double value;
  double low;
  double high;
  index_t n;  ///< samples behind it
};

double mean(std::span<const double> samples);
double median(std::span<const double> samples);

/// Quantile q in [0, 1], linear between order statistics (definition 7 of Hyndman and Fan 1996: NumPy's default).
double quantile(std::span<const double> samples, double q);

/// Median absolute deviation from the median, unscaled.
double median_absolute_deviation(std::span<const double> samples);

/// Median and the order statistics X(k), X(n+1-k) around it, with k as large as
///
///     P(X(k) <= true median <= X(n+1-k)) = 1 - 2 P(Binomial(n, 1/2) <= k-1) >= level
///
/// allows: no assumption about the distribution. For level 0.95 the bounds are NaN below 6 samples; 6 give minimum ..
/// maximum.
/// Source   Hahn and Meeker, Statistical Intervals, 1991, section 5.3.
Interval median_ci(std::span<const double> samples, double level = 0.95);

/// The k above (counted from 1), or 0 when n samples are too few for the level.
index_t median_ci_rank(index_t n, double level);

}  // namespace partita::metrics
