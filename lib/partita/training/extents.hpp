// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include <partita/training/key_problem.hpp>
#include <partita/training/model_options.hpp>

namespace partita::training {

/// The first tensor of a model on such samples, `batch` of them at once, that has more elements than this program
/// counts: its largest extent's key. None: sums of all tensors' bytes fit index_t.
std::optional<KeyProblem> find_extent_problem(const ModelOptions& model, const SampleShape& sample, index_t batch);

}  // namespace partita::training
