// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/driver/workload.hpp>
#include <partita/training/model_options.hpp>

namespace partita::training {

/// Operations of a training step on so many sequences by the published formulas, for a language model whose table this
/// is (metrics/efficiency.hpp): mfu_6n_6lct, mfu_6n_12lct. Else none.
std::vector<driver::FlopFormula> published_flop(const ModelOptions& options, const nn::ParameterTable& table,
                                                index_t sequences, index_t tokens);

}  // namespace partita::training
