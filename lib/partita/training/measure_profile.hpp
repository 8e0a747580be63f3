// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/training/server_parts.hpp>
#include <partita/training/server_profile.hpp>

namespace partita::training {

/// A model of 1/4 to 4 times the width (of hidden layers and of a bag's table; of other models the one), at a quarter,
/// half and all of the first worker's rows: median of some gradients of each, in fast mode, made by the rank that is
/// the worker while others wait; and of messages of all its weights between that rank and rank 0. Known on all ranks.
/// Collective; allocates; as long as 80 gradients, of a model of two wide hidden layers 220.
template <class Scalar>
ServerProfile measure_profile(const ServerParts<Scalar>& parts, int rank_of_worker);

}  // namespace partita::training
