// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <limits>
#include <span>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::comm_bench {

/// t = alpha + beta n: what a message costs whatever its size, and each of its bytes.
struct Fit {
  double alpha_s = std::numeric_limits<double>::quiet_NaN();
  double beta_s_per_byte = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> residuals = {};  ///< (t - alpha - beta n) / t of each size; empty where there is no fit

  double at(double bytes) const { return alpha_s + beta_s_per_byte * bytes; }
  /// Root of the mean square of the residuals, and the largest; NaN without a fit.
  double rms() const;
  double worst() const;
};

/// Least squares of relative residuals, sum ((t - alpha - beta n) / t)^2, so that short messages count as much as long
/// ones. No fit below 5 sizes, or of times that are not positive.
/// Source   Hockney, The Communication Challenge for MPP: Intel Paragon and Meiko CS-2, Parallel Computing 20 (1994).
Fit fit(std::span<const index_t> bytes, std::span<const double> time_s);

}  // namespace partita::comm_bench
