// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include <gtest/gtest.h>

#include <partita/parallel/server/statistics.hpp>

namespace partita::parallel::server::server_statistics_tests {
namespace {

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Names = std::vector<std::string>;

TEST(server_statistics, quantiles_are_values_by_nearest_rank) {
  Samples samples;
  EXPECT_TRUE(std::isnan(samples.quantile(0.5)));
  EXPECT_TRUE(std::isnan(samples.max()));
  EXPECT_TRUE(std::isnan(samples.mean()));
  // The example of the method in textbooks: 15, 20, 35, 40, 50.
  for (const double value : {40, 15, 50}) samples.add(value);
  samples.add(Reals{35, 20});
  EXPECT_EQ(samples.quantile(0.05), 15);
  EXPECT_EQ(samples.quantile(0.3), 20);
  EXPECT_EQ(samples.quantile(0.4), 20);
  EXPECT_EQ(samples.quantile(0.41), 35);
  EXPECT_EQ(samples.quantile(0.5), 35);
  EXPECT_EQ(samples.max(), 50);
  EXPECT_EQ(samples.mean(), 32);
  EXPECT_EQ(samples.quantile(0), 15) << "the least";
  EXPECT_EQ(samples.values()[0], 40) << "as they came";
  Samples hundred;
  for (int i = 100; i >= 1; --i) hundred.add(i);
  EXPECT_EQ(hundred.quantile(0.5), 50);
  EXPECT_EQ(hundred.quantile(0.95), 95);
  EXPECT_EQ(hundred.quantile(0.99), 99);
}

std::vector<WorkerStatistics> two_workers() {
  std::vector<WorkerStatistics> workers(2);
  workers[0].stale(0);
  workers[0].stale(3);
  workers[0].stale(3);
  workers[1].stale(1);
  workers[0].pushes = 4;
  workers[0].dropped = 1;
  workers[1].pushes = 1;
  workers[1].cancelled = 2;
  workers[0].compute_s = 6;
  workers[0].wait_s = 2;
  workers[0].present_s = 8;
  workers[1].compute_s = 1;
  workers[1].wait_s = 1;
  workers[1].present_s = 2;
  for (const double s : {1, 2, 3}) workers[0].pull_s.add(s);
  workers[1].push_s.add(0.5);
  return workers;
}

std::vector<ServerStatistics> one_server() {
  ServerStatistics server;
  server.updates = 3;
  server.keys = {5, 7};
  server.received_bytes = 80;
  server.sent_bytes = 90;
  server.expected_received_bytes = 81;
  server.expected_sent_bytes = 91;
  for (const double depth : {0, 1, 4}) server.queue_depth.add(depth);
  server.service_s.add(0.25);
  server.skew_sum = 6;
  server.skew_max = 3;
  server.skew_count = 4;
  return {server};
}

TEST(server_statistics, stalenesses_are_counted) {
  const std::vector<WorkerStatistics> workers = two_workers();
  EXPECT_EQ(workers[0].staleness_count, (std::vector<index_t>{1, 0, 0, 2}));
  EXPECT_EQ(workers[1].staleness_count, (std::vector<index_t>{0, 1}));
}

const metrics::Column& column(const metrics::Table& table, const std::string& name) {
  for (const auto* list : {&table.scales, &table.columns})
    for (const metrics::Column& each : *list)
      if (each.name == name) return each;
  ADD_FAILURE() << "no column " << name;
  return table.scales.front();
}

template <class T>
std::vector<T> values(const metrics::Table& table, const std::string& name) {
  return std::get<std::vector<T>>(column(table, name).data);
}

TEST(server_statistics, the_table_has_a_row_for_each_worker_and_server) {
  const metrics::Table table = strategy_table(two_workers(), one_server(), false);
  EXPECT_EQ(table.group, "/strategy");
  EXPECT_EQ(values<std::string>(table, "quantile"), (Names{"p50", "p95", "p99", "max"}));
  EXPECT_EQ(values<std::int64_t>(table, "staleness"), (Integers{0, 1, 2, 3}));
  EXPECT_EQ(values<std::int64_t>(table, "staleness_count"), (Integers{1, 0, 0, 2, 0, 1, 0, 0}));
  EXPECT_EQ(column(table, "staleness_count").dimensions, (Names{"worker", "staleness"}));
  EXPECT_EQ(values<std::int64_t>(table, "pushes"), (Integers{4, 1}));
  EXPECT_EQ(values<std::int64_t>(table, "dropped"), (Integers{1, 0}));
  EXPECT_EQ(values<std::int64_t>(table, "cancelled"), (Integers{0, 2}));
  EXPECT_EQ(values<double>(table, "compute_s"), (Reals{6, 1}));
  EXPECT_EQ(values<double>(table, "wait_s"), (Reals{2, 1}));
  EXPECT_EQ(values<double>(table, "utilisation"), (Reals{0.75, 0.5}));
  const Reals pull = values<double>(table, "pull_latency_s"), push = values<double>(table, "push_latency_s");
  EXPECT_EQ(Reals(pull.begin(), pull.begin() + 4), (Reals{2, 3, 3, 3}));
  EXPECT_TRUE(std::isnan(pull[4]) && std::isnan(push[3])) << "none of this worker";
  EXPECT_EQ(Reals(push.begin() + 4, push.end()), Reals(4, 0.5));
  EXPECT_EQ(column(table, "pull_latency_s").dimensions, (Names{"worker", "quantile"}));

  const std::vector<std::pair<std::string, std::int64_t>> of_server = {{"updates", 3},     {"first_key", 5},
                                                                       {"keys", 7},        {"received_bytes", 80},
                                                                       {"sent_bytes", 90}, {"version_skew_max", 3}};
  for (const auto& [name, value] : of_server) EXPECT_EQ(values<std::int64_t>(table, name), Integers{value}) << name;
  EXPECT_EQ(values<double>(table, "expected_received_bytes"), Reals{81});
  EXPECT_EQ(values<double>(table, "expected_sent_bytes"), Reals{91});
  EXPECT_EQ(values<double>(table, "version_skew_mean"), Reals{1.5});
  EXPECT_EQ(values<double>(table, "queue_depth"), (Reals{1, 4, 4, 4}));
  EXPECT_EQ(values<double>(table, "service_s"), Reals(4, 0.25));
  EXPECT_EQ(column(table, "service_s").dimensions, (Names{"server", "quantile"}));

  // As a record needs them: as many values as the scales say, units and a name for people.
  std::map<std::string, std::size_t> extents;
  for (const metrics::Column& scale : table.scales) extents[scale.name] = metrics::size(scale.data);
  EXPECT_EQ(extents,
            (std::map<std::string, std::size_t>{{"worker", 2}, {"server", 1}, {"staleness", 4}, {"quantile", 4}}));
  for (const metrics::Column& each : table.columns) {
    std::size_t expected = 1;
    for (const std::string& dimension : each.dimensions) expected *= extents.at(dimension);
    EXPECT_EQ(metrics::size(each.data), expected) << each.name;
    EXPECT_TRUE(each.attributes.contains("units") && each.attributes.contains("long_name")) << each.name;
  }
}

TEST(server_statistics, virtual_seconds_are_called_so) {
  const auto names = [](bool is_virtual) {
    std::vector<std::string> all;
    for (const metrics::Column& each : strategy_table(two_workers(), one_server(), is_virtual).columns)
      if (std::get<std::string>(each.attributes.at("units")) == "s") {
        const bool says = std::get<std::string>(each.attributes.at("long_name")).find("virtual") != std::string::npos;
        EXPECT_EQ(says, is_virtual) << each.name;
        all.push_back(each.name);
      }
    return all;
  };
  EXPECT_EQ(names(false), (Names{"compute_s", "wait_s", "pull_latency_s", "push_latency_s", "service_s"}));
  EXPECT_EQ(names(true), (Names{"compute_virtual_s", "wait_virtual_s", "pull_latency_virtual_s",
                                "push_latency_virtual_s", "service_virtual_s"}));
}

TEST(server_statistics, a_summary_counts_all_workers) {
  const std::vector<metrics::SummaryRow> rows = summarise(two_workers());
  ASSERT_EQ(rows.size(), 4u);
  const auto is = [&](std::size_t k, const std::string& metric, double value, index_t n, const std::string& kind) {
    EXPECT_EQ(rows[k].metric, metric);
    EXPECT_DOUBLE_EQ(rows[k].value, value) << metric;
    EXPECT_EQ(rows[k].n, n) << metric;
    EXPECT_EQ(rows[k].kind, kind) << metric;
    EXPECT_EQ(rows[k].unit, "1") << metric;
    EXPECT_EQ(rows[k].scope, "within run") << metric;
  };
  is(0, "staleness_mean", (0 + 3 + 3 + 1) / 4.0, 4, "cost");
  is(1, "staleness_max", 3, 4, "cost");
  is(2, "dropped_share", 1.0 / 5, 5, "ratio");
  is(3, "utilisation", 7.0 / 10, 2, "ratio");
  const std::vector<metrics::SummaryRow> none = summarise(std::vector<WorkerStatistics>(1));
  EXPECT_TRUE(std::isnan(none[0].value) && std::isnan(none[2].value) && std::isnan(none[3].value));
}

}  // namespace
}  // namespace partita::parallel::server::server_statistics_tests
