// SPDX-License-Identifier: BSD-3-Clause
#include <partita/metrics/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <partita/metrics/record.hpp>

namespace partita::metrics {
namespace {

// Ascending; empty when there is nothing to say (no samples, or one is NaN).
std::vector<double> sorted(std::span<const double> samples) {
  if (std::any_of(samples.begin(), samples.end(), [](double x) { return std::isnan(x); })) return {};
  std::vector<double> result(samples.begin(), samples.end());
  std::sort(result.begin(), result.end());
  return result;
}

double quantile_of_sorted(const std::vector<double>& x, double q) {
  if (x.empty()) return not_a_number;
  const double position = q * static_cast<double>(x.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double fraction = position - static_cast<double>(below);
  if (fraction == 0.0) return x[below];  // and no 0 * infinity
  return x[below] + fraction * (x[below + 1] - x[below]);
}

}  // namespace

double mean(std::span<const double> samples) {
  if (samples.empty()) return not_a_number;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

double median(std::span<const double> samples) { return quantile(samples, 0.5); }

double quantile(std::span<const double> samples, double q) { return quantile_of_sorted(sorted(samples), q); }

double median_absolute_deviation(std::span<const double> samples) {
  const double center = median(samples);
  std::vector<double> deviation(samples.begin(), samples.end());
  for (double& x : deviation) x = std::abs(x - center);
  return median(deviation);
}

index_t median_ci_rank(index_t n, double level) {
  const double size = static_cast<double>(n);
  double below = 0.0;  // P(Binomial(n, 1/2) <= k)
  index_t k = 0;
  while (2 * k < n) {
    const double i = static_cast<double>(k);
    below += std::exp(std::lgamma(size + 1) - std::lgamma(i + 1) - std::lgamma(size - i + 1) - size * std::log(2.0));
    if (1.0 - 2.0 * below < level) break;
    ++k;
  }
  return k;
}

Interval median_ci(std::span<const double> samples, double level) {
  const std::vector<double> x = sorted(samples);
  const auto n = static_cast<index_t>(x.size());
  Interval result{quantile_of_sorted(x, 0.5), not_a_number, not_a_number, static_cast<index_t>(samples.size())};
  if (const index_t k = median_ci_rank(n, level); k > 0) {
    result.low = x[static_cast<std::size_t>(k - 1)];
    result.high = x[static_cast<std::size_t>(n - k)];
  }
  return result;
}

}  // namespace partita::metrics
