// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <partita/metrics/statistics.hpp>
#include <partita/training/verification.hpp>

namespace partita::training {

driver::Verification judge(const TrainOptions& train, const metrics::Record& record, std::span<const double> losses) {
  if (!std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); }))
    return {.passed = false, .text = "a loss is not finite"};
  std::string text;
  if (train.mode == Mode::train) {
    const std::size_t few = std::clamp<std::size_t>(losses.size() / 10, 1, 50);
    const double early = metrics::mean(losses.first(few));
    const double late = metrics::mean(losses.last(few));
    text = fmt::format("replicas agree, loss {:.4g} -> {:.4g}", early, late);
    // A handful of steps proves nothing: the loss of one batch differs from the next by more than they teach.
    if (losses.size() >= 20 && !(late < early)) return {.passed = false, .text = text + ", which is no progress"};
  } else {
    text = fmt::format("loss {:.4g} is finite", metrics::mean(losses));
  }
  const double accuracy = record.evaluation.empty() ? 0 : record.evaluation.back().accuracy;
  if (!record.evaluation.empty()) text += fmt::format(", held-out accuracy {:.2f} %", 100 * accuracy);
  // A run that train.steps cut short was never meant to get there.
  const bool whole = train.epochs > 0 && (train.steps == 0 || static_cast<index_t>(losses.size()) < train.steps);
  if (whole && accuracy < train.least_accuracy)
    return {.passed = false,
            .text = fmt::format("{}, less than verify.least_accuracy = {}", text, train.least_accuracy)};
  return {.passed = true, .text = text};
}

}  // namespace partita::training
