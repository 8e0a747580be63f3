// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/record_file.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/io/record_layout.hpp>
#include <partita/io/table_file.hpp>

namespace partita::io {
namespace {

constexpr const char* convention = "Partita-1";
constexpr std::int64_t schema_version = 4;  // 2: grad_norm, /events; 3: closed forms of messages and memory; 4: roles

metrics::Attributes root_attributes(const metrics::RunHeader& header, const metrics::RunResults& results, bool complete,
                                    const std::string& exit_reason) {
  metrics::Attributes attributes = results.attributes;
  attributes.insert(header.attributes.begin(), header.attributes.end());  // where the end says nothing else
  attributes["Conventions"] = convention;
  attributes["schema_version"] = schema_version;
  attributes["ranks"] = static_cast<std::int64_t>(header.ranks.size());
  attributes["complete"] = std::int64_t{complete};
  attributes["exit_reason"] = exit_reason;
  return attributes;
}

// A file with everything in it but the steps and the events, which are reserved.
File write_structure(const std::string& path, const metrics::RunHeader& header, const metrics::RunResults& results,
                     index_t steps, index_t events) {
  File file = File::create(path);
  for (const metrics::Table& table : record_tables(header, results, steps)) write_table(file, table);
  if (header.steps > 0) {
    write_table(file, steps_table(header, steps));
    const metrics::Attributes attributes{{"long_name", "rows of /steps that are valid"}, {"units", "1"}};
    write_table(file, {.group = "/", .columns = {{"steps_written", {}, std::vector<std::int64_t>{0}, attributes}}});
    file.link("/steps_written", "/steps/steps_written");
  }
  if (header.events.capacity > 0) write_table(file, events_table(header, events));
  return file;
}

void announce_events(File& file, index_t written, index_t dropped) {
  file.write("/events/events_dropped", std::vector<std::int64_t>{dropped});
  file.write("/events/events_written", std::vector<std::int64_t>{written});
}

// Gives the draft up unless it got a name.
class Draft {
 public:
  explicit Draft(Output& output) : output_(output) { output.draw_up(); }
  ~Draft() { output_.discard_draft(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

 private:
  Output& output_;
};

}  // namespace

RecordFile::RecordFile(const std::string& path, const metrics::RunHeader& header) : RecordFile(Output(path), header) {}

RecordFile::RecordFile(Output output, const metrics::RunHeader& header) : output_(std::move(output)), header_(header) {
  if (header.detail == metrics::Detail::stats && header.full_every < 1)
    refuse<ShapeError>("RecordFile", fmt::format("full_every is {}", header.full_every), "at least 1");
  const Draft draft(output_);
  header_.attributes.try_emplace("created_utc", utc_now());
  File file = write_structure(output_.draft(), header_, {}, header_.steps, header_.events.capacity);
  file.write_attributes("/", root_attributes(header_, {}, false, "running"));
  file.flush();
  part_ = std::make_unique<File>(std::move(file));
  output_.begin();
}

RecordFile::~RecordFile() = default;
RecordFile::RecordFile(RecordFile&&) noexcept = default;

void RecordFile::write_steps(const metrics::StepRows& rows) {
  rows.check(header_.ranks.size(), header_.phases.size());
  if (rows.first_step != steps_written_ || rows.first_step + rows.count > header_.steps) {
    refuse<ShapeError>("RecordFile",
                       fmt::format("rows {} .. {} are given", rows.first_step, rows.first_step + rows.count - 1),
                       fmt::format("rows from {} on, {} in all", steps_written_, header_.steps));
  }
  if (rows.count == 0) return;
  for (const Slab& slab : step_slabs(header_, rows))
    part_->write_rows("/steps/" + slab.column, slab.first_row, slab.data);
  part_->flush();
  // Only now: a kill between the two leaves rows that are not announced, never announced rows that are not there.
  const index_t written = steps_written_ + rows.count;
  part_->write("/steps_written", std::vector<std::int64_t>{written});
  part_->flush();
  steps_written_ = written;
}

void RecordFile::write_grad_norms(std::span<const double> norms) {
  if (static_cast<index_t>(norms.size()) > steps_written_)
    refuse<ShapeError>("RecordFile", fmt::format("gradient norms of {} steps are given", norms.size()),
                       fmt::format("at most of the {} steps that are written", steps_written_));
  part_->write_rows("/steps/grad_norm", 0, std::vector<double>(norms.begin(), norms.end()));
  part_->flush();
}

void RecordFile::write_events(std::span<const metrics::EventRow> rows, index_t dropped) {
  const index_t written = events_written_ + static_cast<index_t>(rows.size());
  if (written > header_.events.capacity) {
    refuse<ShapeError>("RecordFile", fmt::format("{} events are given, {} are written", rows.size(), events_written_),
                       fmt::format("at most {} in all", header_.events.capacity));
  }
  for (const Slab& slab : event_slabs(events_written_, rows))
    part_->write_rows("/events/" + slab.column, slab.first_row, slab.data);
  part_->flush();
  announce_events(*part_, written, dropped);  // as with steps: only now
  part_->flush();
  events_written_ = written;
  events_dropped_ = dropped;
}

void RecordFile::write_evaluation(const metrics::EvaluationRow& row) {
  if (evaluations_written_ == header_.evaluations) return;
  metrics::Table table = evaluation_table({row}, 0);
  // Column step comes first in the table and is written last: it says that the row is there.
  for (auto column = table.columns.rbegin(); column != table.columns.rend(); ++column) {
    part_->write_rows("/evaluation/" + column->name, evaluations_written_, column->data);
  }
  part_->flush();
  ++evaluations_written_;
}

void RecordFile::mark(const std::string& exit_reason) {
  part_->write_attributes("/", {{"exit_reason", exit_reason}});
  part_->flush();
}

std::string RecordFile::finish(const metrics::RunResults& results, bool complete, const std::string& exit_reason) {
  const Draft draft(output_);
  metrics::RunHeader last = header_;
  last.evaluations = 0;  // nothing is reserved any more
  File file = write_structure(output_.draft(), last, results, steps_written_, events_written_);
  if (last.steps > 0) {
    // Whatever lies along the steps was measured; the rest is in the table already.
    for (const metrics::Column& column : steps_table(last, steps_written_).columns) {
      if (column.dimensions.front() == "phase") continue;
      const std::string name = "/steps/" + column.name;
      file.copy_rows(*part_, name, file.extents(name).at(0));
    }
    file.write("/steps_written", std::vector<std::int64_t>{steps_written_});
  }
  if (last.events.capacity > 0) {
    for (const metrics::Column& column : events_table(last, 0).columns)
      if (!column.dimensions.empty()) file.copy_rows(*part_, "/events/" + column.name, events_written_);
    announce_events(file, events_written_, events_dropped_);
  }
  file.write_attributes("/", root_attributes(last, results, complete, exit_reason));
  file.close();
  part_.reset();
  return output_.settle(complete);
}

void write_record(const std::string& path, const metrics::RunHeader& header, const metrics::RunResults& results) {
  RecordFile(path, header).finish(results, true, "done");
}

}  // namespace partita::io
