// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/training/server_parts.hpp>

namespace partita::training {

/// Shares of the batch by the time of some gradients of even shares, which the ranks from first_worker on compute all
/// at once. Weights stay as they are, and no random number of the run depends on it. Collective; the same on all ranks.
template <class Scalar>
std::vector<double> measured_shares(const ServerParts<Scalar>& of, int first_worker);

}  // namespace partita::training
