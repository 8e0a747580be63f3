// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>

namespace partita::parallel {

/// FNV-1a over the bits of the values, one after the other: what two runs compare their weights by. Fences.
template <class Scalar>
std::uint64_t bits_hash(ConstVector<Scalar> values);

/// Whether all ranks hold the same values bit for bit: true on all ranks or on none. Collective; fences; not for a
/// timed step.
template <class Scalar>
bool replicas_agree(const comm::Communicator& axis, ConstVector<Scalar> values);

}  // namespace partita::parallel
