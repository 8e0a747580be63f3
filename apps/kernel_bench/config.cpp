// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

#include <partita/driver/kernel_options.hpp>

namespace partita::kernel_bench {

using config::IntRange;

Config read_config(driver::Session& session) {
  config::Deck& deck = session.deck();
  Config config;
  config.run = driver::read_common_options(deck, "runs/kernel_bench.h5");
  config.kernels = driver::read_kernel_options(deck);
  config.gemm_sizes = deck.integers("peak.gemm_sizes", std::vector<index_t>{512, 1024, 2048}, IntRange::at_least(1),
                                    "squares whose best rate is the peak of the roofline");
  config.triad_mib = deck.integer("peak.triad_mib", config.triad_mib, IntRange::at_least(1),
                                  {"each array of the triad, larger than the caches", "MiB"});
  return config;
}

}  // namespace partita::kernel_bench
