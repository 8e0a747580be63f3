// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/kernels/context.hpp>
#include <partita/kernels/cost.hpp>

#include "config.hpp"

namespace partita::kernel_bench {

/// What this machine reaches in this run: the roof that kernels are held against.
struct Peaks {
  struct Gemm {
    index_t n;
    double flop_per_s;
  };
  std::vector<Gemm> gemms;  ///< the sweep: fp32 squares
  double flop_per_s = 0;    ///< the best of the sweep
  double byte_per_s = 0;    ///< the STREAM triad's
  std::string wrong;        ///< what of the sweep or the triad was computed wrongly; empty: nothing

  /// Seconds that a kernel of this cost would take on the roof; its share of the peak is that over its time. Above 1
  /// where operands stay in a cache, which the triad's do not.
  double least_s(kernels::cost::Cost cost) const;
};

/// Best of several calls each, after some that do not count; then a look at the results. About a second.
Peaks measure_peaks(kernels::Context& context, const Config& config);

}  // namespace partita::kernel_bench
