// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/driver/run_options.hpp>
#include <partita/driver/session.hpp>
#include <partita/kernels/context.hpp>

namespace partita::kernel_bench {

struct Config {
  driver::RunOptions run;
  kernels::Options kernels;
  std::vector<index_t> gemm_sizes = {512, 1024, 2048};  ///< of the sweep that finds the peak
  index_t triad_mib = 32;                               ///< each of the triad's three arrays
};

Config read_config(driver::Session& session);

}  // namespace partita::kernel_bench
