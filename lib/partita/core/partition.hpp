// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/index.hpp>

namespace partita {

/// Part `part` of [0, n) cut into `parts` contiguous pieces: the first n % parts of them hold one more than the others.
///
/// Needs    n >= 0, parts >= 1, 0 <= part < parts. A part is empty when n < parts and it comes late.
/// Throws   ShapeError when one of these does not hold.
Slice partition(index_t n, index_t parts, index_t part);

/// The part that holds i: the inverse of partition().
///
/// Needs    0 <= i < n, parts >= 1.
/// Throws   ShapeError when one of these does not hold.
index_t owner(index_t n, index_t parts, index_t i);

/// Where the elements of a block of a tensor lie in the whole: their row-major indices there, ascending, in the block's
/// own row-major order. The first dimension is the slowest; without any there is one element.
std::vector<index_t> global_indices(std::span<const Slice> block);

}  // namespace partita
