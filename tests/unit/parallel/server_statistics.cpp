// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/parallel/server/statistics.hpp>

namespace partita::parallel::server::server_statistics_tests {
namespace {

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Names = std::vector<std::string>;

TEST(server_statistics, quantiles_are_those_of_the_nearest_rank) {
  // The rank of p percent of n is the least integer of at least p n / 100: by integers alone.
  for (const int n : {1, 2, 3, 19, 20, 21, 99, 100, 101, 200, 1000}) {
    Samples samples;
    Reals sorted;
    for (int i = 0; i < n; ++i) {
      sorted.push_back(uniform(1, Stream::test, static_cast<std::uint64_t>(i)));
      samples.add(sorted.back());
    }
    std::sort(sorted.begin(), sorted.end());
    for (const int percent : {0, 50, 95, 99, 100}) {
      const int rank = std::max(1, (percent * n + 99) / 100);
      EXPECT_EQ(samples.quantile(percent / 100.0), sorted[static_cast<std::size_t>(rank) - 1])
          << percent << " of " << n;
    }
    EXPECT_EQ(samples.max(), sorted.back());
  }
}

TEST(server_statistics, samples_of_others_are_taken_over) {
  Samples mine, all;
  mine.add(3);
  mine.add(1);
  all.add(8);
  all.add(mine.values());
  EXPECT_EQ(Reals(all.values().begin(), all.values().end()), (Reals{8, 3, 1}));
  EXPECT_EQ(all.mean(), 4);
  EXPECT_EQ(all.max(), 8);
}

TEST(server_statistics, nothing_has_no_quantile_and_no_mean) {
  EXPECT_TRUE(std::isnan(Samples().quantile(0.5)));
  EXPECT_TRUE(std::isnan(Samples().max()));
  EXPECT_TRUE(std::isnan(Samples().mean()));
}

// Two workers, one of them fresh; two servers, one of them idle.
struct Seen {
  std::vector<WorkerStatistics> workers{2};
  std::vector<ServerStatistics> servers{2};
  Seen() {
    WorkerStatistics& worker = workers[0];
    for (const index_t staleness : {0, 3, 1, 1}) worker.stale(staleness);
    worker.rows = 3;
    worker.pushes = 5;
    worker.dropped = 1;
    worker.cancelled = 2;
    worker.compute_s = 6;
    worker.wait_s = 2;
    worker.present_s = 8;
    worker.pull_s.add(0.25);
    worker.push_s.add(0.5);
    workers[1].stale(1);
    workers[1].pushes = 1;
    workers[1].compute_s = 1;
    workers[1].wait_s = 3;
    workers[1].present_s = 4;
    servers[0] = {.updates = 5,
                  .keys = {0, 7},
                  .load_share = 0.625,
                  .received_bytes = 100,
                  .sent_bytes = 60,
                  .expected_received_bytes = 100,
                  .expected_sent_bytes = 61.5,
                  .skew_sum = 3,
                  .skew_max = 2,
                  .skew_count = 4};
    for (const double depth : {0., 1., 2., 7.}) servers[0].queue_depth.add(depth);
    servers[0].service_s.add(0.125);
    servers[1].keys = {7, 4};
  }
};

std::map<std::string, metrics::Column> by_name(const std::vector<metrics::Column>& columns) {
  std::map<std::string, metrics::Column> all;
  for (const metrics::Column& column : columns) all[column.name] = column;
  return all;
}

TEST(server_statistics, the_table_has_workers_and_servers) {
  const Seen seen;
  const metrics::Table table = strategy_table(seen.workers, seen.servers, false);
  EXPECT_EQ(table.group, "/strategy");
  const auto scales = by_name(table.scales), columns = by_name(table.columns);
  EXPECT_EQ(std::get<Integers>(scales.at("worker").data), (Integers{0, 1}));
  EXPECT_EQ(std::get<Integers>(scales.at("server").data), (Integers{0, 1}));
  EXPECT_EQ(std::get<Integers>(scales.at("staleness").data), (Integers{0, 1, 2, 3}));
  EXPECT_EQ(std::get<Names>(scales.at("quantile").data), (Names{"p50", "p95", "p99", "max"}));

  const auto expect = [&]<class T>(const char* name, Names dimensions, const std::vector<T>& values,
                                   const char* units) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(columns.count(name));
    const metrics::Column& column = columns.at(name);
    EXPECT_EQ(column.dimensions, dimensions);
    EXPECT_EQ(std::get<std::string>(column.attributes.at("units")), units);
    const auto& data = std::get<std::vector<T>>(column.data);
    ASSERT_EQ(data.size(), values.size());
    for (std::size_t i = 0; i < data.size(); ++i)
      EXPECT_TRUE(data[i] == values[i] || (data[i] != data[i] && values[i] != values[i])) << i << ": " << data[i];
  };
  const double none = std::nan("");
  expect("staleness_count", {"worker", "staleness"}, Integers{1, 2, 0, 1, 0, 1, 0, 0}, "1");
  expect("rows", {"worker"}, Integers{3, 0}, "1");
  expect("pushes", {"worker"}, Integers{5, 1}, "1");
  expect("dropped", {"worker"}, Integers{1, 0}, "1");
  expect("cancelled", {"worker"}, Integers{2, 0}, "1");
  expect("compute_s", {"worker"}, Reals{6, 1}, "s");
  expect("wait_s", {"worker"}, Reals{2, 3}, "s");
  expect("utilisation", {"worker"}, Reals{0.75, 0.25}, "1");
  expect("pull_latency_s", {"worker", "quantile"}, Reals{0.25, 0.25, 0.25, 0.25, none, none, none, none}, "s");
  expect("push_latency_s", {"worker", "quantile"}, Reals{0.5, 0.5, 0.5, 0.5, none, none, none, none}, "s");
  expect("updates", {"server"}, Integers{5, 0}, "1");
  expect("first_key", {"server"}, Integers{0, 7}, "1");
  expect("keys", {"server"}, Integers{7, 4}, "1");
  expect("load_share", {"server"}, Reals{0.625, 0}, "1");
  expect("received_bytes", {"server"}, Integers{100, 0}, "byte");
  expect("sent_bytes", {"server"}, Integers{60, 0}, "byte");
  expect("expected_received_bytes", {"server"}, Reals{100, 0}, "byte");
  expect("expected_sent_bytes", {"server"}, Reals{61.5, 0}, "byte");
  expect("queue_depth", {"server", "quantile"}, Reals{1, 7, 7, 7, none, none, none, none}, "1");
  expect("service_s", {"server", "quantile"}, Reals{0.125, 0.125, 0.125, 0.125, none, none, none, none}, "s");
  expect("version_skew_mean", {"server"}, Reals{0.75, 0}, "1");
  expect("version_skew_max", {"server"}, Integers{2, 0}, "1");
  EXPECT_EQ(columns.size(), 22u);
}

TEST(server_statistics, virtual_seconds_are_never_shown_without_that_word) {
  const Seen seen;
  const auto real = strategy_table(seen.workers, seen.servers, false).columns;
  const auto simulated = strategy_table(seen.workers, seen.servers, true).columns;
  ASSERT_EQ(real.size(), simulated.size());
  int timed = 0;
  for (std::size_t i = 0; i < real.size(); ++i) {
    EXPECT_EQ(real[i].data.index(), simulated[i].data.index());
    const bool is_time = std::get<std::string>(real[i].attributes.at("units")) == "s";
    const auto says_virtual = [](const metrics::Column& column) {
      return column.name.find("virtual_s") != std::string::npos &&
             std::get<std::string>(column.attributes.at("long_name")).find("virtual") != std::string::npos;
    };
    EXPECT_EQ(says_virtual(simulated[i]), is_time) << simulated[i].name;
    EXPECT_EQ(real[i].name.find("virtual"), std::string::npos) << real[i].name;
    timed += is_time ? 1 : 0;
  }
  EXPECT_EQ(timed, 5);
}

TEST(server_statistics, the_summary_is_over_all_workers) {
  const Seen seen;
  std::map<std::string, metrics::SummaryRow> rows;
  for (const metrics::SummaryRow& row : summarise(seen.workers)) rows[row.metric] = row;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_DOUBLE_EQ(rows.at("staleness_mean").value, 6.0 / 5);
  EXPECT_EQ(rows.at("staleness_mean").n, 5);
  EXPECT_EQ(rows.at("staleness_max").value, 3);
  EXPECT_DOUBLE_EQ(rows.at("dropped_share").value, 1.0 / 6);
  EXPECT_EQ(rows.at("dropped_share").n, 6);
  EXPECT_DOUBLE_EQ(rows.at("utilisation").value, 7.0 / 12);
  for (const char* name : {"dropped_share", "utilisation"}) EXPECT_EQ(rows.at(name).kind, "ratio");
}

TEST(server_statistics, a_run_without_a_push_has_no_shares) {
  for (const metrics::SummaryRow& row : summarise(std::vector<WorkerStatistics>(3)))
    EXPECT_TRUE(row.metric == "staleness_max" || std::isnan(row.value)) << row.metric;
}

}  // namespace
}  // namespace partita::parallel::server::server_statistics_tests
