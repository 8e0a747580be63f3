// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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

}  // namespace partita
