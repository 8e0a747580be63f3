// SPDX-License-Identifier: BSD-3-Clause
#include <partita/metrics/step_series.hpp>

#include <algorithm>
#include <numeric>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::metrics {

StepSeries::StepSeries(std::vector<Phase> phases, index_t ranks)
    : phases_(std::move(phases)), ranks_(ranks), phase_s_(phases_.size() * static_cast<std::size_t>(ranks), 0.0) {}

void StepSeries::add(const StepRows& rows) {
  const auto P = static_cast<std::size_t>(ranks_);
  const std::size_t N = phases_.size();
  rows.check(P, N);
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows.count); ++i) {
    if (const index_t step = rows.first_step + static_cast<index_t>(i); step > last_step_) {
      last_step_ = step;
      last_loss_ = rows.loss[i];
    }
    if (rows.warmup[i] != 0 || rows.flushed[i] != 0) continue;
    double longest = 0;
    for (std::size_t r = 0; r < P; ++r) {
      const double s = seconds(rows.end_ns[i * P + r] - rows.start_ns[i * P + r]);
      longest = std::max(longest, s);
      rank_step_s_ += s;
    }
    for (std::size_t k = 0; k < P * N; ++k) phase_s_[k] += rows.phase_s[i * P * N + k];
    step_s_.push_back(longest);
    samples_ += static_cast<double>(rows.samples[i]);
  }
}

std::vector<double> StepSeries::compute_s() const {
  const std::size_t N = phases_.size();
  std::vector<double> result(static_cast<std::size_t>(ranks_), 0.0);
  for (std::size_t k = 0; k < phase_s_.size(); ++k) {
    if (phases_[k % N].cls == PhaseClass::compute) result[k / N] += phase_s_[k];
  }
  return result;
}

std::vector<SummaryRow> StepSeries::summary() const {
  const auto n = static_cast<index_t>(step_s_.size());
  std::vector<SummaryRow> rows;
  const auto push = [&](std::string metric, double value, const char* kind, const char* unit, index_t samples) {
    rows.push_back({std::move(metric), value, not_a_number, not_a_number, samples, kind, "within run", unit});
  };
  const double elapsed = std::accumulate(step_s_.begin(), step_s_.end(), 0.0);
  const Interval step = median_ci(step_s_);
  push("step_s", step.value, "cost", "s", n);
  rows.back().ci_low = step.low;
  rows.back().ci_high = step.high;
  push("samples_per_s", samples_ / elapsed, "rate", "1/s", n);

  const std::size_t N = phases_.size();
  double unattributed = rank_step_s_;
  for (std::size_t p = 0; p < N; ++p) {
    double sum = 0;
    for (std::size_t k = p; k < phase_s_.size(); k += N) sum += phase_s_[k];
    unattributed -= sum;
    push("share_" + phases_[p].name, sum / rank_step_s_, "ratio", "1", n);
  }
  push("share_unattributed", unattributed / rank_step_s_, "ratio", "1", n);

  const std::vector<double> compute = compute_s();
  const double mean_compute = mean(compute);
  const double most = compute.empty() ? not_a_number : *std::max_element(compute.begin(), compute.end());
  push("parallel_efficiency", mean_compute / elapsed, "ratio", "1", n);
  push("load_balance", mean_compute / most, "ratio", "1", n);
  push("communication_efficiency", most / elapsed, "ratio", "1", n);
  push("final_loss", last_loss_, "cost", "1", last_step_ < 0 ? 0 : 1);
  return rows;
}

std::vector<SummaryRow> summarise_steps(const std::vector<Phase>& phases, index_t ranks, const StepRows& rows) {
  StepSeries series(phases, ranks);
  series.add(rows);
  return series.summary();
}

}  // namespace partita::metrics
