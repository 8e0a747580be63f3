// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

#include <partita/driver/kernel_options.hpp>

namespace partita::kernel_bench {

Config read_config(driver::Session& session) {
  config::Deck& deck = session.deck();
  Config config;
  config.run = driver::read_common_options(deck, "runs/kernel_bench.h5");
  config.kernels = driver::read_kernel_options(deck);
  deck.integers("peak.gemm_sizes", config.gemm_sizes, {1, 1 << 20},
                "squares whose best rate is the peak of the roofline");
  deck.integer("peak.triad_mib", config.triad_mib, {1, 1 << 20},
               {"each array of the triad, larger than the caches", "MiB"});
  return config;
}

}  // namespace partita::kernel_bench
