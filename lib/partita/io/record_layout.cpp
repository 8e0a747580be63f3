// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/record_layout.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::io {
namespace {

using metrics::Attributes;
using metrics::Column;
using metrics::RunHeader;
using metrics::RunResults;
using metrics::Table;

using Names = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;

Attributes describe(std::string long_name, std::string units = {}) {
  Attributes attributes{{"long_name", std::move(long_name)}};
  if (!units.empty()) attributes["units"] = std::move(units);
  return attributes;
}

// One value of every row.
template <class Row, class Get>
auto collect(const std::vector<Row>& rows, Get get) {
  std::vector<std::decay_t<decltype(get(rows.front()))>> values;
  values.reserve(rows.size());
  for (const Row& row : rows) values.push_back(get(row));
  return values;
}

// One value for every rank of every row, (row, rank).
template <class Row, class T>
std::vector<T> collect_ranks(const std::vector<Row>& rows, std::size_t ranks, std::vector<T> Row::*member,
                             const char* name) {
  std::vector<T> values;
  for (const Row& row : rows) {
    const std::vector<T>& part = row.*member;
    if (part.size() != ranks) {
      refuse<ShapeError>("Record", fmt::format("{} of {} {} has {} values", name, row.kind, row.algorithm, part.size()),
                         fmt::format("one for each of {} ranks", ranks));
    }
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

Table root(const RunHeader& header, index_t steps) {
  Table table{.group = "/"};
  if (header.steps > 0) {
    table.scales.push_back(metrics::index_scale("step", steps, "training step, warm-up included", header.first_step));
    table.scales.push_back(metrics::name_scale(
        "phase", collect(header.phases, [](const auto& phase) { return phase.name; }), "part of a step"));
  }
  table.scales.push_back(metrics::index_scale("rank", static_cast<index_t>(header.ranks.size()), "MPI rank"));
  return table;
}

Table config(const RunHeader& header) {
  return {.group = "/config",
          .columns = {{"toml", {}, Names{header.deck_toml}, describe("resolved deck, reproduces the run")}}};
}

Table environment(const RunHeader& header) {
  Table table{.group = "/environment"};
  for (const auto& [name, value] : header.environment) table.attributes[name] = value;
  return table;
}

Table calibration(const RunHeader& header) {
  const auto& rows = header.calibration;
  return {
      .group = "/calibration",
      .scales = {metrics::name_scale("quantity", collect(rows, [](const auto& row) { return row.name; }),
                                     "what was measured")},
      .columns = {
          {"value",
           {"quantity"},
           collect(rows, [](const auto& row) { return row.value; }),
           describe("measured value, in unit")},
          {"unit", {"quantity"}, collect(rows, [](const auto& row) { return row.unit; }), describe("unit of value")},
          {"description",
           {"quantity"},
           collect(rows, [](const auto& row) { return row.long_name; }),
           describe("how it was measured")}}};
}

// Of each rank's clock against that of rank 0, in seconds per second, between the begin and the end of the run.
std::vector<double> drift(const std::vector<metrics::RankInfo>& ranks, const RunResults& results) {
  std::vector<double> drifts;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const bool known = r < results.clock_end_ns.size() && r < results.clock_offset_end_ns.size();
    const auto between_ns = known ? static_cast<double>(results.clock_end_ns[r] - ranks[r].clock_begin_ns) : 0.0;
    drifts.push_back(between_ns > 0
                         ? static_cast<double>(results.clock_offset_end_ns[r] - ranks[r].clock_offset_ns) / between_ns
                         : metrics::not_a_number);
  }
  return drifts;
}

Integers clock_error(const std::vector<metrics::RankInfo>& ranks, const RunResults& results) {
  Integers errors = collect(ranks, [](const auto& row) { return row.clock_error_ns; });
  for (std::size_t r = 0; r < std::min(errors.size(), results.clock_error_end_ns.size()); ++r)
    errors[r] = std::max(errors[r], results.clock_error_end_ns[r]);
  return errors;
}

Table ranks(const RunHeader& header, const RunResults& results) {
  const auto& rows = header.ranks;
  const auto column = [&](const char* name, auto member, Attributes attributes) {
    return Column{name, {"rank"}, collect(rows, [&](const auto& row) { return row.*member; }), std::move(attributes)};
  };
  const auto over_ranks = [&](const char* name, auto values, auto not_known, Attributes attributes) {
    if (values.empty()) values.assign(rows.size(), not_known);
    if (values.size() != rows.size())
      refuse<ShapeError>("Record", fmt::format("{} has {} values", name, values.size()),
                         fmt::format("one for each of {} ranks", rows.size()));
    return Column{name, {"rank"}, std::move(values), std::move(attributes)};
  };
  const auto instant = [&](const char* of) {
    Attributes attributes = describe(std::string("when the rank's own monotonic clock had ") + of, "ns");
    attributes["cell_methods"] = "rank: point";
    return attributes;
  };
  using Info = metrics::RankInfo;
  Table table{
      .group = "/ranks",
      .columns = {column("hostname", &Info::hostname, describe("host")),
                  column("node", &Info::node, describe("index of the node in this run", "1")),
                  column("local_rank", &Info::local_rank, describe("index among the ranks of the node", "1")),
                  column("cores", &Info::cores, describe("cores the rank is bound to")),
                  column("gpu_uuid", &Info::gpu_uuid, describe("device of the rank")),
                  column("role", &Info::role,
                         describe("what the rank does: trainer, server, worker, server+worker, engine, benchmark")),
                  column("clock_offset_ns", &Info::clock_offset_ns,
                         describe("to add to instants of the rank to compare them with those of rank 0", "ns")),
                  column("clock_begin_ns", &Info::clock_begin_ns, instant("clock_offset_ns")),
                  over_ranks("clock_offset_end_ns", results.clock_offset_end_ns, std::int64_t{-1},
                             describe("as clock_offset_ns, at the end of the run", "ns")),
                  over_ranks("clock_end_ns", results.clock_end_ns, std::int64_t{-1},
                             instant("clock_offset_end_ns, -1: neither is known")),
                  {"clock_error_ns",
                   {"rank"},
                   clock_error(rows, results),
                   describe("most by which clock_offset_ns and clock_offset_end_ns are wrong", "ns")},
                  {"clock_drift",
                   {"rank"},
                   drift(rows, results),
                   describe("growth of the offset: an instant t of the rank is t + clock_offset_ns + clock_drift "
                            "(t - clock_begin_ns) of rank 0, NaN: not known",
                            "1")},
                  over_ranks("peak_memory_bytes", results.peak_memory_bytes, std::int64_t{-1},
                             describe("peak resident memory of the process, -1: not known", "byte")),
                  over_ranks("compute_s", results.compute_s, metrics::not_a_number,
                             describe("seconds in phases of class compute, over the counted steps", "s"))}};
  table.columns.back().attributes["cell_methods"] = "step: sum";
  if (!header.mesh_axes.empty()) {
    table.scales.push_back(metrics::name_scale("axis", header.mesh_axes, "axis of the process mesh"));
    std::vector<std::int64_t> coordinates;
    for (const Info& row : rows) {
      if (row.coordinates.size() != header.mesh_axes.size()) {
        refuse<ShapeError>("Record", fmt::format("a rank has {} coordinates", row.coordinates.size()),
                           fmt::format("one for each of {} mesh_axes", header.mesh_axes.size()));
      }
      coordinates.insert(coordinates.end(), row.coordinates.begin(), row.coordinates.end());
    }
    table.columns.push_back(
        {"coordinate", {"rank", "axis"}, std::move(coordinates), describe("place in the mesh", "1")});
  }
  return table;
}

Table traffic(const RunResults& results, std::size_t ranks) {
  const auto& rows = results.traffic;
  using Row = metrics::TrafficRow;
  const auto text = [&](const char* name, auto member, const char* long_name) {
    return Column{
        name, {"operation"}, collect(rows, [&](const auto& row) { return row.*member; }), describe(long_name)};
  };
  const auto per_rank = [&](const char* name, auto member, Attributes attributes) {
    return Column{name, {"operation", "rank"}, collect_ranks(rows, ranks, member, name), std::move(attributes)};
  };
  Names labels = collect(rows, [](const Row& row) { return row.kind + "/" + row.axis + "/" + row.algorithm; });
  return {
      .group = "/traffic",
      .scales = {metrics::name_scale("operation", std::move(labels), "kind/axis/algorithm")},
      .columns = {text("kind", &Row::kind, "kind of operation"),
                  text("algorithm", &Row::algorithm, "how it was done"),
                  text("axis", &Row::axis, "mesh axis it ran over"),
                  per_rank("calls", &Row::calls, describe("calls", "1")),
                  per_rank("messages", &Row::messages, describe("messages sent", "1")),
                  per_rank("sent_bytes", &Row::sent_bytes, describe("bytes sent, counted", "byte")),
                  per_rank("seconds", &Row::seconds, describe("time inside the operation", "s")),
                  per_rank("expected_messages", &Row::expected_messages, describe("messages sent, closed form", "1")),
                  per_rank("expected_bytes", &Row::expected_bytes, describe("bytes sent, closed form", "byte")),
                  {"predicted_s",
                   {"operation"},
                   collect(rows, [](const Row& row) { return row.predicted_s; }),
                   describe("time predicted from the calibration, all calls", "s")}}};
}

Table summary(const RunResults& results) {
  const auto& rows = results.summary;
  using Row = metrics::SummaryRow;
  const auto column = [&](const char* name, auto member, const char* long_name) {
    return Column{name, {"metric"}, collect(rows, [&](const auto& row) { return row.*member; }), describe(long_name)};
  };
  return {.group = "/summary",
          .scales = {metrics::name_scale("metric", collect(rows, [](const Row& row) { return row.metric; }), "metric")},
          .columns = {
              column("value", &Row::value, "value, in unit"),
              column("ci_low", &Row::ci_low, "lower end of the 95 % interval, NaN: none"),
              column("ci_high", &Row::ci_high, "upper end of the 95 % interval, NaN: none"),
              column("n", &Row::n, "samples behind the value"),
              column("kind", &Row::kind, "cost: average arithmetically; rate: work over time; ratio: never average"),
              column("scope", &Row::scope, "within run, or over runs"), column("unit", &Row::unit, "unit of value")}};
}

}  // namespace

Table evaluation_table(const std::vector<metrics::EvaluationRow>& rows, index_t reserved) {
  const auto n = static_cast<std::size_t>(reserved);
  const std::vector<metrics::EvaluationRow> filled =
      rows.empty() ? std::vector<metrics::EvaluationRow>(n, metrics::EvaluationRow{.step = -1}) : rows;
  using Row = metrics::EvaluationRow;
  const auto column = [&](const char* name, auto member, const char* long_name) {
    Column result{
        name, {"evaluation"}, collect(filled, [&](const Row& row) { return row.*member; }), describe(long_name, "1")};
    if (result.name != "step") result.attributes["coordinates"] = "step";
    return result;
  };
  return {.group = "/evaluation",
          .scales = {metrics::index_scale("evaluation", static_cast<index_t>(filled.size()), "evaluation")},
          .columns = {column("step", &Row::step, "training steps done before, -1: not evaluated"),
                      column("loss", &Row::loss, "mean held-out loss"),
                      column("accuracy", &Row::accuracy, "share of held-out samples classified correctly"),
                      column("samples", &Row::samples, "held-out samples")}};
}

std::vector<Table> record_tables(const RunHeader& header, const RunResults& results, index_t steps) {
  std::vector<Table> tables{root(header, steps),
                            config(header),
                            environment(header),
                            calibration(header),
                            ranks(header, results),
                            traffic(results, header.ranks.size()),
                            evaluation_table(results.evaluation, header.evaluations),
                            summary(results)};
  tables.insert(tables.end(), results.tables.begin(), results.tables.end());
  return tables;
}

}  // namespace partita::io
