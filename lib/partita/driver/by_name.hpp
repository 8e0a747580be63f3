// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/core/index.hpp>

namespace partita::driver {

/// The names of all ranks as one list, and where each rank's own are in it.
struct NameUnion {
  std::vector<std::string> names;           ///< each once, in order of first appearance by rank
  std::vector<std::vector<index_t>> place;  ///< place[rank][k]: index in `names` of that rank's k-th name
};

/// Ranks may name different things (stages of a pipeline, servers and workers), in any order and number: what differs
/// between ranks is collected by name, never by position. A few gathers whatever the names are, so that unlike lists
/// cannot hang. Collective; the result counts on rank 0, elsewhere it is empty.
NameUnion gather_names(const comm::Communicator& world, std::span<const std::string> mine);

}  // namespace partita::driver
