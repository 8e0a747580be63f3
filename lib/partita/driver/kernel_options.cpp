// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/kernel_options.hpp>
#include <string>
#include <utility>
#include <vector>

namespace partita::driver {

kernels::Options read_kernel_options(config::Deck& deck) {
  using kernels::Backend;
  const std::vector<std::pair<std::string, Backend>> backends = {
      {"automatic", Backend::automatic}, {"vendor", Backend::vendor}, {"portable", Backend::portable}};
  kernels::Options options;
  options.backend = deck.choice("kernels.backend", Backend::automatic, backends,
                                "the vendor's library where there is one, or Partita's own");
  for (const std::string kernel : kernels::kernel_names) {
    const Backend own =
        deck.choice("kernels." + kernel, options.backend, backends, "the same for " + kernel + " alone");
    if (deck.given("kernels." + kernel)) options.per_kernel[kernel] = own;
  }
  options.tf32 = deck.boolean("kernels.tf32", false, "GPUs may round the operands of fp32 products to 10 bits");
  return options;
}

}  // namespace partita::driver
