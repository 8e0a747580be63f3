// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/comm/communicator.hpp>
#include <partita/nn/model.hpp>

// A model whose tensors are split over the ranks of an axis, looked at as one. Collective over the axis; all fence and
// allocate: not for a timed step.

namespace partita::parallel {

/// Whether ranks have the same bits of the tensors that all of them hold: the same answer on all.
template <class Scalar>
bool parts_agree(const comm::Communicator& axis, const nn::Model<Scalar>& part);

/// bits_hash of the whole model's weights in the order of its table: the same for any number of parts. One tensor is
/// put together at a time.
template <class Scalar>
std::uint64_t hash_of_whole(const comm::Communicator& axis, const nn::Model<Scalar>& part,
                            const nn::ParameterTable& whole);

}  // namespace partita::parallel
