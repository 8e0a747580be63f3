// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/parallel/data_parallel.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// Declares and reads parallel.strategy and the keys that strategies of data parallelism have.
parallel::DataParallelOptions read_parallel_options(config::Deck& deck);
/// The keys of an all-reduce of gradients alone.
parallel::DataParallelOptions read_allreduce_options(config::Deck& deck);

/// What depends on the length of an epoch, or on the ranks: local SGD looks at held-out data, and ends, where all ranks
/// have the same weights; ZeRO 3 infers where all ranks go through the model equally often.
/// Throws   UsageError naming the key.
void check(const parallel::DataParallelOptions& options, const TrainOptions& train, index_t steps_per_epoch,
           index_t ranks);

}  // namespace partita::training
