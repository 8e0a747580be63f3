// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <partita/core/types.hpp>
#include <partita/nn/parameter_table.hpp>

namespace partita::nn {

/// w = bound (2 u - 1) with u uniform in [0, 1) from (seed, tensor's place in the table, global index of the element).
///
/// Shapes   parameters (table.size()), overwritten.
/// Runs     on the host, then one copy; fences. Meant for set-up, not for a timed step.
/// Bits     an element depends on the seed and its global index alone, so a slice holds the values of the whole tensor.
template <class Scalar>
void initialise(const ParameterTable& table, std::uint64_t seed, Vector<Scalar> parameters);

}  // namespace partita::nn
