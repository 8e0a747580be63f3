// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include <partita/comm/communicator.hpp>
#include <partita/core/types.hpp>
#include <partita/nn/parameter_table.hpp>

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

/// Where copies differ, which of all ranks of the run holds another one than most (all holders, where there is no
/// majority): "linear0.weight: rank 2 of 0, 1, 2"; empty on all ranks where every rank holds the same bits. Of several
/// tensors the first is named, and the number of all.
///
/// axis     Ranks that hold the same tensors in the same buffer.
/// world    All ranks of the run, by whose numbers they are named. Every rank is in one such axis; all come here.
/// Runs     collective over the axis, then the world; fences; not for a timed step.
/// Cost     one pass over the values on the host, and 8 bytes a tensor and rank to the first of the axis.
template <class Scalar>
std::string replica_difference(const comm::Communicator& world, const comm::Communicator& axis,
                               const nn::ParameterTable& table, ConstVector<Scalar> values);

}  // namespace partita::parallel
