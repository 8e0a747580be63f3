// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/kernel_options.hpp>

#include <string>

namespace partita::driver {
namespace {

using kernels::Backend;

constexpr Named<Backend> backends[] = {
    {"automatic", Backend::automatic}, {"vendor", Backend::vendor}, {"portable", Backend::portable}};

}  // namespace

kernels::Options read_kernel_options(config::Deck& deck) {
  kernels::Options options;
  options.backend = Backend::automatic;
  deck.choice(
      "kernels.backend", options.backend, backends,
      "the vendor's library where there is one, or Partita's own; automatic: for each call the one that is faster "
      "in the first step of warm-up");
  for (const std::string kernel : kernels::kernel_names) {
    Backend own = options.backend;
    deck.choice("kernels." + kernel, own, backends, "for " + kernel + " alone, as kernels.backend");
    if (deck.given("kernels." + kernel)) options.per_kernel[kernel] = own;
  }
  options.tf32 = false;
  deck.boolean("kernels.tf32", options.tf32, "GPUs may round the operands of fp32 products to 10 bits");
  return options;
}

}  // namespace partita::driver
