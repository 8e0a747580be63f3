// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <gtest/gtest.h>

#include <partita/driver/figure_of_merit.hpp>

namespace partita::driver::figure_of_merit_tests {
namespace {

// Two ranks, one phase, ten steps of 2 ms on rank 0 and 1 ms on rank 1, after one of warm-up.
struct Example {
  Example() : series({{"forward", metrics::PhaseClass::compute}}, 2) {
    rows.count = 11;
    for (index_t s = 0; s < rows.count; ++s) {
      rows.phase_s.insert(rows.phase_s.end(), {2e-3, 1e-3});
      rows.start_ns.insert(rows.start_ns.end(), {s * 10000000, s * 10000000});
      rows.end_ns.insert(rows.end_ns.end(), {s * 10000000 + 2000000, s * 10000000 + 1000000});
      rows.loss.push_back(1);
      rows.grad_norm.push_back(1);
      rows.samples.push_back(100);
      rows.warmup.push_back(s == 0);
      rows.flushed.push_back(0);
    }
    series.add(rows);
    work.flop_per_step = 4e6;
    header.ranks.resize(2);
    header.attributes["app"] = "mlp_dp";
    header.calibration.push_back({"gemm_flop_per_s", 1e10, "1/s", ""});
  }

  double value(const std::string& metric) {
    const auto rows_of = summarise(series, header, results, work);
    const auto row =
        std::find_if(rows_of.begin(), rows_of.end(), [&](const auto& each) { return each.metric == metric; });
    return row == rows_of.end() ? -1 : row->value;
  }

  metrics::StepRows rows;
  metrics::StepSeries series;
  metrics::RunHeader header;
  metrics::RunResults results;
  Workload work;
};

TEST(figure_of_merit, flop_rate_and_its_share_of_the_calibrated_peak) {
  Example run;
  EXPECT_DOUBLE_EQ(run.value("flop_per_s"), 4e6 / 2e-3);
  EXPECT_DOUBLE_EQ(run.value("mfu"), 4e6 / 2e-3 / (2 * 1e10));
}

TEST(figure_of_merit, published_formulas_are_rows_of_their_names) {
  Example run;
  EXPECT_EQ(run.value("mfu_6n_12lct"), -1);
  run.work.flop_formulas = {{"mfu_6n_12lct", 3e6}, {"mfu_6n_6lct", 2e6}};
  EXPECT_DOUBLE_EQ(run.value("mfu_6n_12lct"), 3e6 / 2e-3 / 2e10);
  EXPECT_DOUBLE_EQ(run.value("mfu_6n_6lct"), 2e6 / 2e-3 / 2e10);
  run.header.calibration.clear();
  EXPECT_EQ(run.value("mfu_6n_6lct"), -1);
}

TEST(figure_of_merit, tokens_are_counted_where_samples_have_some) {
  Example run;
  EXPECT_EQ(run.value("tokens_per_s"), -1);
  run.work.tokens_per_sample = 128;
  EXPECT_DOUBLE_EQ(run.value("tokens_per_s"), 128 * run.value("samples_per_s"));
}

TEST(figure_of_merit, bus_bandwidth_takes_the_slowest_rank) {
  Example run;
  run.results.traffic.push_back(
      {"allreduce", "ring", "data", {10, 10}, {20, 20}, {4000, 3000}, {1e-3, 2e-3}, {4000, 3000}});
  EXPECT_DOUBLE_EQ(run.value("allreduce_busbw"), 4000 / 2e-3);
  // The payload of MPI's own: 2 (P-1)/P = 1 at two ranks.
  run.results.traffic[0].algorithm = "mpi";
  EXPECT_DOUBLE_EQ(run.value("allreduce_busbw"), 4000 / 2e-3);
}

// Six ranks, 2 x 3: MPI's sum over three ranks sends 4/3 of its payload, and one rank alone sends nothing.
TEST(figure_of_merit, bus_bandwidth_is_that_of_the_axis) {
  Example run;
  run.header.mesh_axes = {"data", "tensor", "pipeline"};
  run.header.ranks.resize(6);
  for (index_t r = 0; r < 6; ++r) run.header.ranks[static_cast<std::size_t>(r)].coordinates = {r / 3, r % 3, 0};
  const auto row = [](const char* algorithm, const char* axis) {
    return metrics::TrafficRow{"allreduce",  algorithm,    axis,   {1, 1},      {1, 1},
                               {3000, 3000}, {1e-3, 1e-3}, {1, 1}, {3000, 3000}};
  };
  run.results.traffic = {row("mpi", "data"), row("mpi", "tensor"), row("ring", "tensor"), row("mpi", "pipeline")};
  EXPECT_DOUBLE_EQ(run.value("data_allreduce_busbw"), 3e6);
  EXPECT_DOUBLE_EQ(run.value("tensor_allreduce_busbw"), 4e6);
  EXPECT_DOUBLE_EQ(run.value("tensor_allreduce_busbw_ring"), 3e6);
  EXPECT_EQ(run.value("pipeline_allreduce_busbw"), -1);
  EXPECT_EQ(run.value("allreduce_busbw"), -1);
}

TEST(figure_of_merit, line_names_rate_verdict_and_record) {
  Example run;
  run.results.summary = summarise(run.series, run.header, run.results, run.work);
  const std::string line = figure_of_merit(run.header, run.results, {true, "all is well"}, "x.h5");
  EXPECT_EQ(line,
            "mlp_dp: 50000.0 samples/s on 2 ranks, step 2 ms [2, 2] (median of 10 steps); record x.h5; verification "
            "passed: all is well");
  EXPECT_NE(figure_of_merit(run.header, run.results, {false, "no"}, "x.h5").find("verification FAILED: no"),
            std::string::npos);
}

}  // namespace
}  // namespace partita::driver::figure_of_merit_tests
