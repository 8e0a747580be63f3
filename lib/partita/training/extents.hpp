// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include <partita/training/model_options.hpp>

namespace partita::training {

/// A key whose extent is too large, in the words of an error.
struct ExtentProblem {
  std::string key, found, expected;
};

/// The first tensor of a model on such samples, `batch` of them at once, that has more elements than this program
/// counts: its largest extent's key. None: sums of all tensors' bytes fit index_t.
std::optional<ExtentProblem> find_extent_problem(const ModelOptions& model, const SampleShape& sample, index_t batch);

}  // namespace partita::training
