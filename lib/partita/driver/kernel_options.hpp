// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/config/deck.hpp>
#include <partita/kernels/context.hpp>

namespace partita::driver {

/// The keys of [kernels], which all apps that compute share: backend, the same for each kernel that has more than one,
/// and tf32.
kernels::Options read_kernel_options(config::Deck& deck);

}  // namespace partita::driver
