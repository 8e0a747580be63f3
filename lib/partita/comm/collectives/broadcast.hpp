// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// Root's values on every rank: start-up weights, restored state.
///
/// Shapes   values (n), the same n everywhere; overwritten but on root.
/// Runs     fences exec, blocks. Collective. Allocates when it has to stage: not for a timed step.
/// Region   partita::comm::broadcast, in Kokkos Tools.
/// Throws   Error when MPI fails.
template <class S>
void broadcast(const Exec& exec, const Communicator& comm, Vector<S> values, int root = 0);

}  // namespace partita::comm
