// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/nn/parameter_table.hpp>

namespace partita::nn {

/// Every tensor of the table as its Initial says; random ones from (seed, tensor's name, global index).
///
/// Shapes   parameters (table.size()), overwritten.
/// Runs     on the host, then one copy; fences. Meant for set-up, not for a timed step.
/// Bits     an element depends on the seed and its global index alone, so a slice holds the values of the whole tensor.
template <class Scalar>
void initialise(const ParameterTable& table, std::uint64_t seed, Vector<Scalar> parameters);
/// The same of a range of the flat buffer alone.
///
/// Shapes   part (range.extent), overwritten.
/// Throws   ShapeError when the range is not inside the table, or `part` has another extent.
template <class Scalar>
void initialise(const ParameterTable& table, std::uint64_t seed, Range range, Vector<Scalar> part);

}  // namespace partita::nn
