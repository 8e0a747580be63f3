// SPDX-License-Identifier: BSD-3-Clause
// The group /events: which columns it has, and what events contribute to them.
#include <string>
#include <utility>

#include <partita/io/record_layout.hpp>

namespace partita::io {
namespace {

using metrics::Attributes;
using metrics::EventRow;
using metrics::Table;

using Integers = std::vector<std::int64_t>;

struct EventColumn {
  const char* name;
  const char* long_name;
  const char* units;
  std::int64_t (*get)(const EventRow&);
};

// All are integers; -1 in what does not apply to an event.
constexpr EventColumn event_columns[] = {
    {"rank", "rank that did it, -1: no event", "1", [](const EventRow& row) -> std::int64_t { return row.rank; }},
    {"step", "training step", "1", [](const EventRow& row) -> std::int64_t { return row.event.step; }},
    {"part", "what it did: index into part_name", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.part; }},
    {"stage", "stage of the model, -1: none", "1", [](const EventRow& row) -> std::int64_t { return row.event.stage; }},
    {"unit", "unit of the model: index into unit_name, -1: none", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.unit; }},
    {"micro_batch", "micro-batch, -1: none", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.micro_batch; }},
    {"piece", "piece of the micro-batch, -1: none", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.piece; }},
    {"peer", "rank that it talked to, -1: none", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.peer; }},
    {"bytes", "bytes moved", "byte", [](const EventRow& row) -> std::int64_t { return row.event.bytes; }},
    {"match", "number of the message, the same at both ends within the step, -1: none", "1",
     [](const EventRow& row) -> std::int64_t { return row.event.match; }},
    {"start_ns", "start of the event, on the rank's own monotonic clock", "ns",
     [](const EventRow& row) -> std::int64_t { return row.event.start_ns; }},
    {"end_ns", "end of the event, on the rank's own monotonic clock", "ns",
     [](const EventRow& row) -> std::int64_t { return row.event.end_ns; }}};

}  // namespace

Table events_table(const metrics::RunHeader& header, index_t rows) {
  const metrics::EventTable& events = header.events;
  Table table{.group = "/events",
              .scales = {metrics::index_scale("event", rows, "event, by step, then by rank, then as it came"),
                         metrics::name_scale("part_name", events.parts, "what a rank does in a step"),
                         metrics::name_scale("unit_name", events.units, "unit of the model")},
              .attributes = {{"first_step", events.first_step}, {"last_step", events.last_step}}};
  for (const EventColumn& column : event_columns) {
    Attributes attributes{{"long_name", column.long_name}, {"units", column.units}};
    if (attributes["units"] == metrics::Attribute("ns")) attributes["cell_methods"] = "event: point";
    table.columns.push_back({column.name, {"event"}, Integers{}, std::move(attributes)});
  }
  table.columns.front().data = Integers(static_cast<std::size_t>(rows), -1);
  const auto count = [&](const char* name, const char* long_name) {
    table.columns.push_back({name, {}, Integers{0}, {{"long_name", long_name}, {"units", "1"}}});
  };
  count("events_written", "rows of /events that are valid");
  count("events_dropped", "events that found no room in the memory of their rank");
  return table;
}

std::vector<Slab> event_slabs(index_t first_row, std::span<const EventRow> rows) {
  std::vector<Slab> slabs;
  for (const EventColumn& column : event_columns) {
    Integers values;
    values.reserve(rows.size());
    for (const EventRow& row : rows) values.push_back(column.get(row));
    slabs.push_back({column.name, first_row, std::move(values)});
  }
  return slabs;
}

}  // namespace partita::io
