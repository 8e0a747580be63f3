// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/published_flop.hpp>

#include <partita/metrics/efficiency.hpp>

namespace partita::training {

std::vector<driver::FlopFormula> published_flop(const ModelOptions& options, const nn::ParameterTable& table,
                                                index_t sequences, index_t tokens) {
  if (!options.language()) return {};
  const auto N = static_cast<double>(table.size()), L = static_cast<double>(options.gpt.blocks),
             C = static_cast<double>(options.gpt.C), T = static_cast<double>(tokens);
  const double all = static_cast<double>(sequences) * T;
  return {{"mfu_6n_6lct", all * metrics::flop_per_token_6n_6lct(N, L, C, T)},
          {"mfu_6n_12lct", all * metrics::flop_per_token_6n_12lct(N, L, C, T)}};
}

}  // namespace partita::training
