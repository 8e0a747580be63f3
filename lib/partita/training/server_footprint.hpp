// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/driver/memory.hpp>
#include <partita/training/model_options.hpp>
#include <partita/training/server_options.hpp>

namespace partita::training {

class Dataset;

/// What a run of a parameter server will take on this rank, from the shapes alone: memory_needs of one replica that has
/// a worker's rows, and beside it
///
///   weights of workers   those that each worker here has pulled; twice with elastic averaging
///   gradients kept       what servers add up, and in virtual time with a network a gradient on its way of each worker
///
/// Throws   as memory_needs.
template <class Scalar>
std::vector<driver::MemoryNeed> server_memory_needs(const TrainOptions& train, const ServerOptions& server,
                                                    const ModelOptions& model, const Dataset& data, bool keeps_record);

}  // namespace partita::training
