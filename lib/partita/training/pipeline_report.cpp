// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/pipeline_report.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::training {

std::string tied_table(const ModelOptions& model) {
  return model.language() && model.gpt.tied ? "embedding.token" : "";
}

template <class Scalar>
std::string describe(const parallel::PipelinePlan& plan, const nn::Model<Scalar>& whole) {
  std::string text = whole.describe();
  const auto& units = whole.stages().front().chain().units();
  auto at = units.begin();
  for (int s = 0; s < plan.stages(); ++s) {
    const auto here = static_cast<std::size_t>(s);
    const auto first = at, end = at + plan.layers[here];
    double flop = 0;
    for (; at != end; ++at) {
      const nn::PassFlop of = at == units.begin() ? (*at)->flop_without_dx(1) : (*at)->flop(1);
      flop += of.total();
    }
    text += fmt::format("stage {} on rank {}: {} layers, {} to {}; {:.4g} flop a row\n", s, plan.rank_of_stage[here],
                        plan.layers[here], (*first)->name(), (*(end - 1))->name(), flop);
  }
  return text;
}

template <class Scalar>
void attach(const PipelineMesh&, const StageLayers&, const Parts<Scalar>&, driver::Workload&) {}

#define PARTITA_PIPELINE_REPORT(S)                                                   \
  template std::string describe(const parallel::PipelinePlan&, const nn::Model<S>&); \
  template void attach(const PipelineMesh&, const StageLayers&, const Parts<S>&, driver::Workload&);
PARTITA_PIPELINE_REPORT(float)
PARTITA_PIPELINE_REPORT(bfloat16)
PARTITA_PIPELINE_REPORT(float16)
#undef PARTITA_PIPELINE_REPORT

}  // namespace partita::training
