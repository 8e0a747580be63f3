// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include <partita/driver/workload.hpp>
#include <partita/training/compression.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {

/// The loss of who knows nothing and holds all V classes for equally likely: ln V, or (V - 1) / V^2 for the squared
/// error.
double chance_loss(kernels::Loss loss, index_t V);

/// The verdict on what the losses and evaluations of a run say. Taken where the losses are; all that it compares is the
/// same on any number of ranks but for the order of sums.
///
/// Every loss is finite. In training, the median of the last tenth of the steps, "in the end", stands against the first
/// step: from 20 steps on it is below that, and not above chance; at any length it is not ten times either. After all
/// train.epochs the held-out accuracy is at least verify.least_accuracy, and of a text (`compression`) the held-out
/// loss is fewer bits per byte than the compressor of verify.beats needs.
///
/// `held_to`: of what trains by rules that may as well diverge, which is then the result, only that losses are finite
/// and counts right.
enum class Judgement { training, finite };
driver::Verification judge(const TrainOptions& train, index_t classes, const metrics::RunResults& results,
                           std::span<const double> losses, const std::optional<Compression>& compression = {},
                           Judgement held_to = Judgement::training, const char* agreed = "replicas agree");

}  // namespace partita::training
