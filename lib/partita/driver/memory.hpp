// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <partita/comm/communicator.hpp>

namespace partita::driver {

/// What this node can still give to all processes on it together, in bytes: what the kernel calls available, or the
/// room that the tightest control group around this process leaves, where that is less (caches that can be dropped
/// count as room). Linux; 0: not known. `root` is where /proc and /sys are looked for.
std::int64_t available_memory_bytes(const std::string& root = "");

/// A part of what a run will take on this rank.
struct MemoryNeed {
  std::string what;  ///< "optimizer state"
  double bytes = 0;
  bool held = false;  ///< it is allocated already
};

/// Whether the ranks of each node find the memory that they will take. All ranks give the same parts in the same order.
/// Says nothing about the memory of a device. Collective.
/// Throws   EnvironmentError with the numbers of the node that is worst off, on all ranks alike.
void require_memory(const comm::Communicator& world, const std::vector<MemoryNeed>& needs);

}  // namespace partita::driver
