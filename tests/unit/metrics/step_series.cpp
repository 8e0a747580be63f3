// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/metrics/step_series.hpp>

namespace partita::metrics::step_series_tests {
namespace {

using namespace partita;
using namespace partita::metrics;

constexpr double rounding = 1e-13;

const std::vector<Phase> phases{
    {"forward", PhaseClass::compute}, {"backward", PhaseClass::compute}, {"wait", PhaseClass::wait}};
constexpr index_t ranks = 2;

// Step i of rank r lasts (10 + i + r) us; forward 2 us, backward (3 + r) us, wait 1 us.
StepRows make_rows(index_t first, index_t count) {
  StepRows rows{.first_step = first, .count = count};
  for (index_t i = first; i < first + count; ++i) {
    for (index_t r = 0; r < ranks; ++r) {
      rows.phase_s.insert(rows.phase_s.end(), {2e-6, 1e-6 * static_cast<double>(3 + r), 1e-6});
      rows.start_ns.push_back(1'000'000 * i + 77 * r);
      rows.end_ns.push_back(1'000'000 * i + 77 * r + 1000 * (10 + i + r));
    }
    rows.loss.push_back(5.0 - static_cast<double>(i));
    rows.grad_norm.push_back(1.0);
    rows.samples.push_back(32);
    rows.warmup.push_back(0);
    rows.flushed.push_back(0);
  }
  return rows;
}

SummaryRow find(const std::vector<SummaryRow>& rows, const std::string& metric) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const SummaryRow& r) { return r.metric == metric; });
  return row == rows.end() ? SummaryRow{.metric = "missing"} : *row;
}

TEST(step_series, time_of_a_step_is_that_of_its_slowest_rank) {
  const auto summary = summarise_steps(phases, ranks, make_rows(0, 7));  // 11 .. 17 us
  const SummaryRow step = find(summary, "step_s");
  EXPECT_DOUBLE_EQ(step.value, 14e-6);
  EXPECT_DOUBLE_EQ(step.ci_low, 11e-6);
  EXPECT_DOUBLE_EQ(step.ci_high, 17e-6);
  EXPECT_EQ(step.n, 7);
  EXPECT_EQ(step.kind, "cost");
  EXPECT_EQ(step.unit, "s");
  EXPECT_EQ(step.scope, "within run");
}

TEST(step_series, any_rank_may_be_the_slowest) {
  StepRows rows = make_rows(0, 1);
  rows.end_ns[0] = rows.start_ns[0] + 99'000;
  EXPECT_DOUBLE_EQ(find(summarise_steps(phases, ranks, rows), "step_s").value, 99e-6);
}

TEST(step_series, rate_is_work_over_time) {
  const SummaryRow rate = find(summarise_steps(phases, ranks, make_rows(0, 3)), "samples_per_s");
  EXPECT_NEAR(rate.value, 96 / 36e-6, rounding * rate.value);  // not the mean of 32 / 11 us, 32 / 12 us, 32 / 13 us
  EXPECT_EQ(rate.kind, "rate");
}

TEST(step_series, warmup_and_flushed_steps_do_not_count) {
  StepRows rows = make_rows(0, 8);
  rows.warmup[0] = 1;
  rows.flushed[5] = 1;
  const auto summary = summarise_steps(phases, ranks, rows);
  EXPECT_EQ(find(summary, "step_s").n, 6);
  EXPECT_DOUBLE_EQ(find(summary, "step_s").value, 14.5e-6);  // of 12 13 14 15 17 18
  EXPECT_NEAR(find(summary, "samples_per_s").value, 6 * 32 / 89e-6, 1.0e-3);
}

TEST(step_series, shares_are_of_rank_time_and_sum_to_one) {
  const auto summary = summarise_steps(phases, ranks, make_rows(0, 3));
  const double rank_time = 10 + 11 + 11 + 12 + 12 + 13;  // us
  EXPECT_NEAR(find(summary, "share_forward").value, 12 / rank_time, rounding);
  EXPECT_NEAR(find(summary, "share_backward").value, 21 / rank_time, rounding);
  EXPECT_NEAR(find(summary, "share_wait").value, 6 / rank_time, rounding);
  double sum = 0;
  for (const SummaryRow& row : summary) {
    if (row.metric.starts_with("share_")) sum += row.value;
  }
  EXPECT_NEAR(sum, 1.0, rounding);
}

TEST(step_series, efficiencies_come_from_compute_phases) {
  StepSeries series(phases, ranks);
  series.add(make_rows(0, 3));
  const std::vector<double> compute = series.compute_s();
  EXPECT_NEAR(compute[0], 15e-6, rounding);
  EXPECT_NEAR(compute[1], 18e-6, rounding);
  const auto summary = series.summary();
  EXPECT_NEAR(find(summary, "parallel_efficiency").value, 16.5 / 36, rounding);
  EXPECT_NEAR(find(summary, "load_balance").value, 16.5 / 18, rounding);
  EXPECT_NEAR(find(summary, "communication_efficiency").value, 18.0 / 36, rounding);
}

TEST(step_series, parts_give_what_the_whole_gives) {
  StepSeries series(phases, ranks);
  series.add(make_rows(0, 2));
  series.add(make_rows(2, 0));
  series.add(make_rows(2, 6));
  const auto parts = series.summary(), whole = summarise_steps(phases, ranks, make_rows(0, 8));
  ASSERT_EQ(parts.size(), whole.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].metric, whole[i].metric);
    EXPECT_EQ(parts[i].value, whole[i].value) << parts[i].metric;
  }
}

TEST(step_series, final_loss_is_that_of_the_last_step_counted_or_not) {
  StepRows rows = make_rows(0, 4);
  rows.flushed[3] = 1;
  EXPECT_EQ(find(summarise_steps(phases, ranks, rows), "final_loss").value, 2.0);
}

TEST(step_series, nothing_counted_is_not_a_number) {
  const auto summary = StepSeries(phases, ranks).summary();
  for (const SummaryRow& row : summary) {
    EXPECT_TRUE(std::isnan(row.value)) << row.metric;
    EXPECT_EQ(row.n, 0);
  }
}

TEST(step_series, rejects_rows_of_other_shape) { EXPECT_THROW(StepSeries(phases, 3).add(make_rows(0, 2)), ShapeError); }

}  // namespace
}  // namespace partita::metrics::step_series_tests
