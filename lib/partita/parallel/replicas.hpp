// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>

namespace partita::parallel {

/// FNV-1a over the bits of the values, one after the other: what two runs compare their weights by. `before`: the hash
/// of the values before these. Fences.
inline constexpr std::uint64_t hash_of_nothing = 1469598103934665603ULL;
template <class Scalar>
std::uint64_t bits_hash(ConstVector<Scalar> values, std::uint64_t before = hash_of_nothing);

/// Whether all ranks hold the same values bit for bit: true on all ranks or on none. Collective; fences; not for a
/// timed step.
template <class Scalar>
bool replicas_agree(const comm::Communicator& axis, ConstVector<Scalar> values);
/// By the values' hash.
bool replicas_agree(const comm::Communicator& axis, std::uint64_t hash);

}  // namespace partita::parallel
