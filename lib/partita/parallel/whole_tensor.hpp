// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <partita/comm/communicator.hpp>
#include <partita/core/index.hpp>

namespace partita::parallel {

/// A tensor from its parts: every rank of the axis gives the block that it has, and root gets the whole, row-major;
/// elsewhere the result is empty. Where each rank has all of it nothing is sent, and root's own is the whole; of ranks
/// with the same block the first counts. Any dimensions may be cut, unevenly, and a block may be empty.
///
/// block    For each dimension what is here, the first one slowest.
/// Shapes   values: the block, row-major.
/// Runs     on the host; collective, blocking; not for a timed step.
/// Throws   on all ranks alike, an Error that on root is a ShapeError: unless the blocks are as long as given and,
///          together, the whole.
/// Memory   on root the whole and the block of one other rank.
std::vector<float> whole_tensor(const comm::Communicator& axis, std::string_view name, std::span<const Slice> block,
                                std::vector<float> values, int root = 0);

}  // namespace partita::parallel
