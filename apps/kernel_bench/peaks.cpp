// SPDX-License-Identifier: BSD-3-Clause
#include "peaks.hpp"

#include <algorithm>
#include <limits>
#include <partita/core/clock.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/gemm.hpp>

#include "suite.hpp"

namespace partita::kernel_bench {
namespace {

double best_s(kernels::Context& context, int calls, const Call& call) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = -2; i < calls; ++i) {
    const std::int64_t start = now_ns();
    call();
    context.exec().fence("partita::kernel_bench::measure_peaks: end of a timed call");
    if (i >= 0) best = std::min(best, seconds(now_ns() - start));
  }
  return best;
}

}  // namespace

double Peaks::least_s(kernels::cost::Cost cost) const {
  return std::max(cost.flop / flop_per_s, cost.byte / byte_per_s);
}

Peaks measure_peaks(kernels::Context& context, const Config& config) {
  Peaks peaks;
  for (const index_t n : config.gemm_sizes) {
    const Matrix<float> A = matrix(n, n), B = matrix(n, n), C = matrix(n, n);
    const double time_s = best_s(context, 8, [&] { kernels::gemm<float>(context, {}, A, B, C); });
    peaks.gemms.push_back({n, kernels::cost::gemm(n, n, n, sizeof(float)).flop / time_s});
    peaks.flop_per_s = std::max(peaks.flop_per_s, peaks.gemms.back().flop_per_s);
  }
  const index_t n = config.triad_mib * 1024 * 1024 / index_t{sizeof(float)};
  const Vector<float> a = vector(n), b = vector(n), c = vector(n);
  const double time_s = best_s(context, 8, [&] { kernels::triad<float>(context.exec(), a, 3.0F, b, c); });
  peaks.byte_per_s = 3.0 * static_cast<double>(n) * sizeof(float) / time_s;
  return peaks;
}

}  // namespace partita::kernel_bench
