// SPDX-License-Identifier: BSD-3-Clause
#include "fit.hpp"

#include <algorithm>
#include <cmath>

namespace partita::comm_bench {

double Fit::rms() const {
  double squares = 0;
  for (const double r : residuals) squares += r * r;
  return std::sqrt(squares / static_cast<double>(residuals.size()));  // 0 / 0 without any
}

double Fit::worst() const {
  double worst = residuals.empty() ? std::numeric_limits<double>::quiet_NaN() : 0;
  for (const double r : residuals) worst = std::max(worst, std::abs(r));
  return worst;
}

Fit fit(std::span<const index_t> bytes, std::span<const double> time_s) {
  constexpr std::size_t least_sizes = 5;
  if (bytes.size() < least_sizes || !std::ranges::all_of(time_s, [](double t) { return t > 0; })) return {};
  // With u = 1/t and v = n/t: minimise sum (1 - alpha u - beta v)^2.
  double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const double u = 1 / time_s[i], v = static_cast<double>(bytes[i]) / time_s[i];
    uu += u * u, uv += u * v, vv += v * v, u1 += u, v1 += v;
  }
  const double determinant = uu * vv - uv * uv;
  Fit fit;
  fit.alpha_s = (u1 * vv - v1 * uv) / determinant;
  fit.beta_s_per_byte = (v1 * uu - u1 * uv) / determinant;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    fit.residuals.push_back(1 - fit.at(static_cast<double>(bytes[i])) / time_s[i]);
  return fit;
}

}  // namespace partita::comm_bench
