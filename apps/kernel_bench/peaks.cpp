// SPDX-License-Identifier: BSD-3-Clause
#include "peaks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

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

template <class View>
auto on_host(const View& view) {
  return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
}

// Some elements of C = A B against sums in double: each of n products and additions may err by one rounding.
bool is_product(const Matrix<float>& A, const Matrix<float>& B, const Matrix<float>& C) {
  const auto a = on_host(A), b = on_host(B), c = on_host(C);
  const std::size_t n = a.extent(0);
  for (const std::size_t i : {std::size_t{0}, n / 2, n - 1})
    for (const std::size_t j : {std::size_t{0}, n / 3, n - 1}) {
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < n; ++k) {
        sum += double(a(i, k)) * double(b(k, j));
        size += std::abs(double(a(i, k)) * double(b(k, j)));
      }
      if (!(std::abs(sum - double(c(i, j))) <= static_cast<double>(n) * 0x1p-23 * size)) return false;
    }
  return true;
}

bool is_triad(const Vector<float>& a, const Vector<float>& b, const Vector<float>& c) {
  const auto x = on_host(a), y = on_host(b), z = on_host(c);
  for (std::size_t i = 0; i < z.extent(0); ++i)
    if (!(std::abs(x(i) + 3.0F * y(i) - z(i)) <= 1e-6F)) return false;
  return true;
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
    if (!config.kernels.tf32 && !is_product(A, B, C)) peaks.wrong = fmt::format("the product of size {} is wrong", n);
  }
  const index_t n = config.triad_mib * 1024 * 1024 / index_t{sizeof(float)};
  const Vector<float> a = vector(n), b = vector(n), c = vector(n);
  const double time_s = best_s(context, 8, [&] { kernels::triad<float>(context.exec(), 3.0F, a, b, c); });
  peaks.byte_per_s = 3.0 * static_cast<double>(n) * sizeof(float) / time_s;
  if (!is_triad(a, b, c)) peaks.wrong = "the triad is wrong";
  return peaks;
}

}  // namespace partita::kernel_bench
