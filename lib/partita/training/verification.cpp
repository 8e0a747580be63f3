// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/verification.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include <partita/data/compression.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::training {
namespace {

// What the losses of a training run say against it; empty: nothing.
std::string complaint(double first, double late, double chance, std::size_t steps) {
  constexpr double diverged = 10;
  if (late > diverged * std::max(first, chance)) return "which diverged";
  // A handful of steps proves nothing more: the loss of one batch differs from the next by more than they teach.
  constexpr std::size_t enough = 20;
  if (steps < enough) return {};
  if (!(late < first)) return "which is no progress";
  if (late > chance) return "which is worse than chance";
  return {};
}

double rival(Rival who, const Compression& compression) {
  return who == Rival::gzip ? compression.gzip : compression.xz;
}

// What was counted against the closed forms, where there is one; empty: nothing.
std::string complaint(const std::vector<metrics::TrafficRow>& traffic) {
  const auto differ = [](const std::vector<std::int64_t>& counted, const std::vector<double>& expected) {
    for (std::size_t r = 0; r < counted.size(); ++r)
      if (!std::isnan(expected.at(r)) && static_cast<double>(counted[r]) != expected[r]) return true;
    return false;
  };
  for (const metrics::TrafficRow& row : traffic)
    if (differ(row.messages, row.expected_messages) || differ(row.sent_bytes, row.expected_bytes))
      return fmt::format("{} {}: messages or bytes are not those of the closed form", row.kind, row.algorithm);
  return {};
}

}  // namespace

double chance_loss(kernels::Loss loss, index_t V) {
  const auto classes = static_cast<double>(V);
  return loss == kernels::Loss::mse ? (classes - 1) / (classes * classes) : std::log(classes);
}

driver::Verification judge(const TrainOptions& train, index_t classes, const metrics::RunResults& results,
                           std::span<const double> losses, const std::optional<Compression>& compression,
                           Judgement held_to, const char* agreed) {
  // Steps that were skipped taught nothing, and are no word against the others.
  std::vector<double> finite;
  std::copy_if(losses.begin(), losses.end(), std::back_inserter(finite),
               [](double loss) { return std::isfinite(loss); });
  const std::size_t skipped = losses.size() - finite.size();
  if (train.update.not_finite == nn::NotFinite::skip && !finite.empty()) losses = finite;
  if (!std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); }))
    return {.passed = false, .text = "a loss is not finite"};
  if (losses.empty()) return {.passed = false, .text = "no step was done"};
  if (const std::string against = complaint(results.traffic); !against.empty())
    return {.passed = false, .text = against};
  std::string text;
  if (train.mode == Mode::train) {
    const std::span<const double> last = losses.last(std::max<std::size_t>(losses.size() / 10, 1));
    const double late = metrics::median(last);
    const double chance = chance_loss(train.loss, classes);
    text = fmt::format("{}, loss {:.4g} -> {:.4g} (chance {:.4g})", agreed, losses.front(), late, chance);
    if (skipped > 0) text += fmt::format(", {} step{} skipped", skipped, skipped == 1 ? "" : "s");
    const std::string against = complaint(losses.front(), late, chance, losses.size());
    if (held_to == Judgement::training && !against.empty()) return {.passed = false, .text = text + ", " + against};
  } else {
    text = fmt::format("loss {:.4g} is finite", metrics::mean(losses));
  }
  const double accuracy = results.evaluation.empty() ? 0 : results.evaluation.back().accuracy;
  if (!results.evaluation.empty()) text += fmt::format(", held-out accuracy {:.2f} %", 100 * accuracy);
  const bool counts_bits = compression && !results.evaluation.empty() && train.loss == kernels::Loss::cross_entropy;
  if (counts_bits) text += ", " + to_string(*compression, results.evaluation.back().loss);
  // A run that train.steps cut short was never meant to get there.
  const bool whole = train.epochs > 0 && (train.steps == 0 || static_cast<index_t>(losses.size()) < train.steps);
  if (whole && accuracy < train.least_accuracy)
    return {.passed = false,
            .text = fmt::format("{}, less than verify.least_accuracy = {}", text, train.least_accuracy)};
  if (whole && counts_bits && train.beats != Rival::nothing &&
      !(data::bits_of_nats(results.evaluation.back().loss) < rival(train.beats, *compression)))
    return {.passed = false, .text = text + ", not fewer than verify.beats asks for"};
  return {.passed = true, .text = text};
}

}  // namespace partita::training
