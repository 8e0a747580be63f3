// SPDX-License-Identifier: BSD-3-Clause
// The group /steps: which columns it has, and what rows of steps contribute to them.
#include <algorithm>
#include <string>
#include <utility>

#include <partita/core/clock.hpp>
#include <partita/io/record_layout.hpp>

namespace partita::io {
namespace {

using metrics::Attributes;
using metrics::Column;
using metrics::Detail;
using metrics::RunHeader;
using metrics::StepRows;
using metrics::Table;

using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;
using Bytes = std::vector<std::int8_t>;

Attributes timing(const char* long_name, const char* cell_methods, const char* units = "s") {
  return {{"long_name", long_name}, {"units", units}, {"cell_methods", cell_methods}};
}

index_t full_rows(const RunHeader& header, index_t steps) {
  return (steps + header.full_every - 1) / header.full_every;
}

// Least, mean and most over the ranks of x(step, rank, k), and which rank is the longest (the first of equals).
struct OverRanks {
  Reals mean, min, max;
  Integers max_rank;

  OverRanks(const Reals& x, std::size_t steps, std::size_t ranks, std::size_t n)
      : mean(steps * n, 0.0), min(steps * n), max(steps * n), max_rank(steps * n, 0) {
    for (std::size_t i = 0; i < steps; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t at = i * n + k;
        min[at] = max[at] = x[i * ranks * n + k];
        for (std::size_t r = 0; r < ranks; ++r) {
          const double value = x[(i * ranks + r) * n + k];
          mean[at] += value;
          min[at] = std::min(min[at], value);
          if (value > max[at]) {
            max[at] = value;
            max_rank[at] = static_cast<std::int64_t>(r);
          }
        }
        mean[at] /= static_cast<double>(ranks);
      }
    }
  }
};

// Rows of those steps of x(step, ...) that are kept in full; `first` becomes the first of them among all that are kept.
template <class T>
std::vector<T> kept(const std::vector<T>& x, const StepRows& rows, index_t every) {
  std::vector<T> result;
  const auto width = rows.count == 0 ? 0 : static_cast<std::ptrdiff_t>(x.size()) / rows.count;
  for (index_t i = 0; i < rows.count; ++i) {
    if ((rows.first_step + i) % every != 0) continue;
    result.insert(result.end(), x.begin() + i * width, x.begin() + (i + 1) * width);
  }
  return result;
}

}  // namespace

Table steps_table(const RunHeader& header, index_t steps) {
  Table table{.group = "/steps"};
  std::vector<std::string> classes;
  for (const auto& phase : header.phases) classes.emplace_back(to_string(phase.cls));
  table.columns = {
      {"phase_class", {"phase"}, classes, {{"long_name", "compute, communication, wait, input or other"}}},
      {"loss", {"step"}, Reals{}, {{"long_name", "training loss, mean over the global batch"}, {"units", "1"}}},
      {"grad_norm",
       {"step"},
       Reals{},
       {{"long_name", "2-norm of the whole gradient before clipping, NaN: the step makes none"}, {"units", "1"}}},
      {"samples", {"step"}, Integers{}, {{"long_name", "samples of all ranks"}, {"units", "1"}}},
      {"warmup", {"step"}, Bytes{}, {{"long_name", "1: warm-up, not to be counted"}, {"units", "1"}}},
      {"flushed", {"step"}, Bytes{}, {{"long_name", "1: the record was flushed just before"}, {"units", "1"}}}};
  const auto add = [&](const char* name, std::vector<std::string> dimensions, metrics::ColumnData type,
                       Attributes attributes) {
    if (dimensions.back() == "phase") attributes["coordinates"] = "phase_class";
    table.columns.push_back({name, std::move(dimensions), std::move(type), std::move(attributes)});
  };
  const char* const start = "start of the step, on the rank's own monotonic clock";
  const char* const end = "end of the step, on the rank's own monotonic clock";
  const char* const phase = "time of a phase in the step";
  if (header.detail == Detail::full) {
    add("phase_s", {"step", "rank", "phase"}, Reals{}, timing(phase, "step: sum"));
    add("start_ns", {"step", "rank"}, Integers{}, timing(start, "step: point", "ns"));
    add("end_ns", {"step", "rank"}, Integers{}, timing(end, "step: point", "ns"));
    return table;
  }
  Integers full(static_cast<std::size_t>(full_rows(header, steps)));
  for (std::size_t i = 0; i < full.size(); ++i)
    full[i] = header.first_step + static_cast<index_t>(i) * header.full_every;
  table.scales = {{"full_step", {"full_step"}, full, {{"long_name", "steps that are kept in full"}, {"units", "1"}}}};
  for (const std::string of : {"phase", "step"}) {
    const std::vector<std::string> shape =
        of == "phase" ? std::vector<std::string>{"step", "phase"} : std::vector<std::string>{"step"};
    const auto put = [&](const char* what, metrics::ColumnData type, Attributes attributes) {
      add((of + what).c_str(), shape, std::move(type), std::move(attributes));
    };
    put("_mean_s", Reals{}, timing("mean over the ranks", "step: sum rank: mean"));
    put("_min_s", Reals{}, timing("shortest of the ranks", "step: sum rank: minimum"));
    put("_max_s", Reals{}, timing("longest of the ranks", "step: sum rank: maximum"));
    put("_max_rank", Integers{}, {{"long_name", "rank that took longest"}, {"units", "1"}});
  }
  add("phase_full_s", {"full_step", "rank", "phase"}, Reals{}, timing(phase, "full_step: sum"));
  add("start_full_ns", {"full_step", "rank"}, Integers{}, timing(start, "full_step: point", "ns"));
  add("end_full_ns", {"full_step", "rank"}, Integers{}, timing(end, "full_step: point", "ns"));
  return table;
}

double step_bytes(const RunHeader& header) {
  double bytes = 0;
  for (const Column& column : steps_table(header, 0).columns) {
    double values = 1;
    for (const std::string& dimension : column.dimensions) {
      if (dimension == "full_step") values /= static_cast<double>(header.full_every);
      if (dimension == "rank") values *= static_cast<double>(header.ranks.size());
      if (dimension == "phase") values *= static_cast<double>(header.phases.size());
    }
    const bool along_the_steps = column.dimensions.front() != "phase";
    if (along_the_steps) bytes += values * (std::holds_alternative<Bytes>(column.data) ? 1 : 8);
  }
  return bytes + sizeof(std::int64_t);  // the scale
}

std::vector<Slab> step_slabs(const RunHeader& header, const StepRows& rows) {
  const index_t at = rows.first_step;
  std::vector<Slab> slabs{{"loss", at, rows.loss},
                          {"grad_norm", at, rows.grad_norm},
                          {"samples", at, rows.samples},
                          {"warmup", at, rows.warmup},
                          {"flushed", at, rows.flushed}};
  if (header.detail == Detail::full) {
    slabs.push_back({"phase_s", at, rows.phase_s});
    slabs.push_back({"start_ns", at, rows.start_ns});
    slabs.push_back({"end_ns", at, rows.end_ns});
    return slabs;
  }
  const std::size_t ranks = header.ranks.size();
  const auto count = static_cast<std::size_t>(rows.count);
  const auto add = [&](const std::string& of, const Reals& x, std::size_t n) {
    OverRanks over(x, count, ranks, n);
    slabs.push_back({of + "_mean_s", at, std::move(over.mean)});
    slabs.push_back({of + "_min_s", at, std::move(over.min)});
    slabs.push_back({of + "_max_s", at, std::move(over.max)});
    slabs.push_back({of + "_max_rank", at, std::move(over.max_rank)});
  };
  Reals step_s(count * ranks);
  for (std::size_t k = 0; k < step_s.size(); ++k) step_s[k] = seconds(rows.end_ns[k] - rows.start_ns[k]);
  add("phase", rows.phase_s, header.phases.size());
  add("step", step_s, 1);
  const index_t first = full_rows(header, at);
  slabs.push_back({"phase_full_s", first, kept(rows.phase_s, rows, header.full_every)});
  slabs.push_back({"start_full_ns", first, kept(rows.start_ns, rows, header.full_every)});
  slabs.push_back({"end_full_ns", first, kept(rows.end_ns, rows, header.full_every)});
  return slabs;
}

}  // namespace partita::io
