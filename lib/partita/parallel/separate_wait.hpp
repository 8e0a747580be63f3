// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/communicator.hpp>
#include <partita/nn/observer.hpp>

namespace partita::parallel {

/// A barrier as a moment of its own, so that waiting for ranks is not taken for transfer. Fences exec; collective;
/// nothing for one rank.
void separate_wait(const comm::Communicator& axis, const Exec& exec, nn::Observer& observer);

}  // namespace partita::parallel
