// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace partita::parallel::server {
namespace {

constexpr double quantiles[] = {0.5, 0.95, 0.99, 1};

// One value of each.
template <class Row, class Get>
auto column(std::span<const Row> rows, const Get& get) {
  std::vector<std::decay_t<decltype(get(rows[0]))>> values;
  for (const Row& row : rows) values.push_back(get(row));
  return values;
}

template <class Row>
std::vector<double> quantiles_of(std::span<const Row> rows, Samples Row::*samples) {
  std::vector<double> values;
  for (const Row& row : rows)
    for (const double q : quantiles) values.push_back((row.*samples).quantile(q));
  return values;
}

metrics::Attributes words(std::string long_name, std::string units) {
  return {{"long_name", std::move(long_name)}, {"units", std::move(units)}};
}

}  // namespace

double Samples::quantile(double q) const {
  if (values_.empty()) return metrics::not_a_number;
  std::vector<double> sorted = values_;
  const auto rank = std::max<double>(1, std::ceil(q * static_cast<double>(sorted.size())));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

double Samples::mean() const {
  return values_.empty() ? metrics::not_a_number
                         : std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

void WorkerStatistics::stale(index_t staleness) {
  const auto at = static_cast<std::size_t>(staleness);
  if (staleness_count.size() <= at) staleness_count.resize(at + 1);
  ++staleness_count[at];
}

metrics::Table strategy_table(std::span<const WorkerStatistics> workers, std::span<const ServerStatistics> servers,
                              bool is_virtual) {
  using std::int64_t;
  const std::string unit = is_virtual ? "virtual_s" : "s", of = is_virtual ? "virtual " : "";
  std::size_t stalest = 0;
  for (const WorkerStatistics& worker : workers) stalest = std::max(stalest, worker.staleness_count.size());
  metrics::Table table{.group = "/strategy"};
  table.scales = {
      metrics::index_scale("worker", std::ssize(workers), "worker"),
      metrics::index_scale("server", std::ssize(servers), "server"),
      metrics::index_scale("staleness", static_cast<int64_t>(stalest),
                           "updates of the first server between the weights of a gradient and its own update"),
      metrics::name_scale("quantile", {"p50", "p95", "p99", "max"}, "quantile")};
  const auto add = [&](std::string name, std::vector<std::string> dimensions, metrics::ColumnData data,
                       std::string long_name, std::string units) {
    table.columns.push_back(
        {std::move(name), std::move(dimensions), std::move(data), words(std::move(long_name), std::move(units))});
  };
  std::vector<int64_t> staleness;
  for (const WorkerStatistics& worker : workers) {
    std::vector<index_t> counts = worker.staleness_count;
    counts.resize(stalest);
    staleness.insert(staleness.end(), counts.begin(), counts.end());
  }
  add("staleness_count", {"worker", "staleness"}, staleness, "gradients in updates, by their staleness", "1");
  const auto by_worker = [&](const std::string& name, const auto& get, const char* long_name, const char* units) {
    add(name, {"worker"}, column(workers, get), long_name, units);
  };
  using W = WorkerStatistics;
  by_worker(
      "rows", [](const W& w) { return int64_t{w.rows}; }, "samples of a global batch that are its own", "1");
  by_worker(
      "pushes", [](const W& w) { return int64_t{w.pushes}; }, "gradients that were handed in", "1");
  by_worker(
      "dropped", [](const W& w) { return int64_t{w.dropped}; }, "of these, in no update", "1");
  by_worker(
      "cancelled", [](const W& w) { return int64_t{w.cancelled}; }, "gradients that were begun and stopped", "1");
  add("compute_" + unit, {"worker"}, column(workers, [](const W& w) { return w.compute_s; }), of + "time in gradients",
      "s");
  add("wait_" + unit, {"worker"}, column(workers, [](const W& w) { return w.wait_s; }),
      of + "time for servers and messages", "s");
  by_worker(
      "utilisation", [](const W& w) { return w.compute_s / w.present_s; },
      "time in gradients over time that the worker is there", "1");
  add("pull_latency_" + unit, {"worker", "quantile"}, quantiles_of(workers, &W::pull_s),
      of + "time from a pull to its answer", "s");
  add("push_latency_" + unit, {"worker", "quantile"}, quantiles_of(workers, &W::push_s),
      of + "time from a push to where the server has taken it in", "s");

  using S = ServerStatistics;
  const auto by_server = [&](const char* name, const auto& get, const char* long_name, const char* units) {
    add(name, {"server"}, column(servers, get), long_name, units);
  };
  by_server(
      "updates", [](const S& s) { return int64_t{s.updates}; }, "updates of its weights", "1");
  by_server(
      "first_key", [](const S& s) { return int64_t{s.keys.offset}; }, "first of its weights", "1");
  by_server(
      "keys", [](const S& s) { return int64_t{s.keys.extent}; }, "weights that it has", "1");
  by_server(
      "load_share", [](const S& s) { return s.load_share; },
      "its share of the weights that gradients touch, as counted over the first ones of each worker", "1");
  by_server(
      "received_bytes", [](const S& s) { return int64_t{s.received_bytes}; },
      "gradients, and rows of a sparse model that pulls ask for", "byte");
  by_server(
      "sent_bytes", [](const S& s) { return int64_t{s.sent_bytes}; }, "weights", "byte");
  by_server(
      "expected_received_bytes", [](const S& s) { return s.expected_received_bytes; },
      "received_bytes by the workers' count", "byte");
  by_server(
      "expected_sent_bytes", [](const S& s) { return s.expected_sent_bytes; }, "sent_bytes by the workers' count",
      "byte");
  add("queue_depth", {"server", "quantile"}, quantiles_of(servers, &S::queue_depth),
      "messages that wait or are served when one arrives", "1");
  add("service_" + unit, {"server", "quantile"}, quantiles_of(servers, &S::service_s),
      of + "time of the server's processor for a message", "s");
  by_server(
      "version_skew_mean",
      [](const S& s) { return s.skew_count == 0 ? 0 : s.skew_sum / static_cast<double>(s.skew_count); },
      "updates behind the server that is furthest, when a worker computes", "1");
  by_server(
      "version_skew_max", [](const S& s) { return int64_t{s.skew_max}; }, "the most of that", "1");
  return table;
}

metrics::SummaryRow summary_row(std::string metric, double value, index_t n, std::string kind, std::string unit) {
  return {std::move(metric), value,        metrics::not_a_number, metrics::not_a_number, n,
          std::move(kind),   "within run", std::move(unit)};
}

std::vector<metrics::SummaryRow> summarise(std::span<const WorkerStatistics> workers) {
  index_t pushes = 0, dropped = 0, kept = 0, sum = 0, most = 0;
  double compute_s = 0, present_s = 0;
  for (const WorkerStatistics& worker : workers) {
    pushes += worker.pushes;
    dropped += worker.dropped;
    compute_s += worker.compute_s;
    present_s += worker.present_s;
    for (std::size_t s = 0; s < worker.staleness_count.size(); ++s) {
      const index_t count = worker.staleness_count[s], staleness = static_cast<index_t>(s);
      kept += count;
      sum += staleness * count;
      if (count > 0) most = std::max(most, staleness);
    }
  }
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : metrics::not_a_number; };
  return {summary_row("staleness_mean", ratio(static_cast<double>(sum), static_cast<double>(kept)), kept, "cost", "1"),
          summary_row("staleness_max", static_cast<double>(most), kept, "cost", "1"),
          summary_row("dropped_share", ratio(static_cast<double>(dropped), static_cast<double>(pushes)), pushes,
                      "ratio", "1"),
          summary_row("utilisation", ratio(compute_s, present_s), std::ssize(workers), "ratio", "1")};
}

}  // namespace partita::parallel::server
