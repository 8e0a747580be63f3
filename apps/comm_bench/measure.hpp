// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/communicator.hpp>

#include "config.hpp"
#include "series.hpp"
#include "table.hpp"

namespace partita::comm_bench {

/// Everything that config asks for, the same on all ranks; each size goes to the table as soon as it is known.
/// Collective over axis.
std::vector<Series> measure(const comm::Communicator& axis, const Config& config, const Table& table);

}  // namespace partita::comm_bench
