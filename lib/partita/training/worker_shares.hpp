// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::training {

/// Rows of a batch for shares of any sum, each worker at least `least` of them: largest remainders.
/// Throws   UsageError where the batch is too small for that.
std::vector<index_t> rows_of_shares(index_t batch, std::span<const double> shares, index_t least);

/// Shares by speed: 1 / time that a worker needs for an even share. A time that the clock did not see counts as a
/// millionth of the longest; where it saw none, shares are even.
std::vector<double> shares_of_times(std::span<const double> times_s);

}  // namespace partita::training
