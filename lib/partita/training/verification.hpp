// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/workload.hpp>
#include <partita/training/train_options.hpp>
#include <span>

namespace partita::training {

/// The verdict on what the losses and evaluations of a run say: every loss is finite, from 20 steps on the loss fell,
/// and after all train.epochs the held-out accuracy is at least verify.least_accuracy. Taken where the losses are.
driver::Verification judge(const TrainOptions& train, const metrics::Record& record, std::span<const double> losses);

}  // namespace partita::training
