// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/io/record_layout.hpp>

namespace partita::io::record_layout_tests {
namespace {

using namespace partita;
using metrics::PhaseClass;
using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

metrics::RunHeader make_record(metrics::Detail detail, index_t every = 1) {
  metrics::RunHeader record;
  record.ranks.resize(3);
  record.phases = {{"forward", PhaseClass::compute}, {"wait", PhaseClass::wait}};
  record.steps = 10;
  record.detail = detail;
  record.full_every = every;
  return record;
}

// phase_s = 100 step + 10 ((rank + step) mod 3) + phase: another rank is the longest in each step.
metrics::StepRows make_rows(index_t first, index_t count) {
  metrics::StepRows rows{.first_step = first, .count = count};
  for (index_t i = first; i < first + count; ++i) {
    for (index_t r = 0; r < 3; ++r) {
      for (index_t p = 0; p < 2; ++p) rows.phase_s.push_back(static_cast<double>(100 * i + 10 * ((r + i) % 3) + p));
      rows.start_ns.push_back(1000 * i + r);
      rows.end_ns.push_back(1000 * i + r + 1'000'000'000 * (1 + (r + i) % 3));
    }
    rows.loss.push_back(static_cast<double>(i));
    rows.grad_norm.push_back(0.5 * static_cast<double>(i));
    rows.samples.push_back(32);
    rows.warmup.push_back(0);
    rows.flushed.push_back(0);
  }
  return rows;
}

template <class Values>
Values slab(const std::vector<io::Slab>& slabs, const std::string& column, index_t first_row) {
  for (const io::Slab& s : slabs) {
    if (s.column == column) {
      EXPECT_EQ(s.first_row, first_row) << column;
      return std::get<Values>(s.data);
    }
  }
  ADD_FAILURE() << "no column " << column;
  return {};
}

const metrics::Column& column(const metrics::Table& table, const std::string& name) {
  const auto found =
      std::find_if(table.columns.begin(), table.columns.end(), [&](const auto& c) { return c.name == name; });
  if (found == table.columns.end()) throw std::runtime_error("no column " + name);
  return *found;
}

TEST(record_layout, full_detail_hands_rows_on_unchanged) {
  const auto rows = make_rows(4, 2);
  const auto slabs = io::step_slabs(make_record(metrics::Detail::full), rows);
  EXPECT_EQ(slab<Reals>(slabs, "phase_s", 4), rows.phase_s);
  EXPECT_EQ(slab<Integers>(slabs, "start_ns", 4), rows.start_ns);
  EXPECT_EQ(slab<Integers>(slabs, "end_ns", 4), rows.end_ns);
  EXPECT_EQ(slab<Reals>(slabs, "loss", 4), rows.loss);
  EXPECT_EQ(slab<Reals>(slabs, "grad_norm", 4), (Reals{2, 2.5}));
}

TEST(record_layout, statistics_are_over_the_ranks) {
  const auto slabs = io::step_slabs(make_record(metrics::Detail::stats, 4), make_rows(4, 2));
  EXPECT_EQ(slab<Reals>(slabs, "phase_mean_s", 4), (Reals{410, 411, 510, 511}));
  EXPECT_EQ(slab<Reals>(slabs, "phase_min_s", 4), (Reals{400, 401, 500, 501}));
  EXPECT_EQ(slab<Reals>(slabs, "phase_max_s", 4), (Reals{420, 421, 520, 521}));
  EXPECT_EQ(slab<Integers>(slabs, "phase_max_rank", 4), (Integers{1, 1, 0, 0}));
  EXPECT_EQ(slab<Reals>(slabs, "step_mean_s", 4), (Reals{2, 2}));
  EXPECT_EQ(slab<Reals>(slabs, "step_max_s", 4), (Reals{3, 3}));
  EXPECT_EQ(slab<Integers>(slabs, "step_max_rank", 4), (Integers{1, 0}));
}

TEST(record_layout, the_first_of_equals_took_longest) {
  metrics::StepRows rows = make_rows(0, 1);
  rows.phase_s.assign(rows.phase_s.size(), 0.5);
  const auto slabs = io::step_slabs(make_record(metrics::Detail::stats, 4), rows);
  EXPECT_EQ(slab<Integers>(slabs, "phase_max_rank", 0), (Integers{0, 0}));
}

TEST(record_layout, every_kth_step_is_kept_in_full_however_rows_are_cut) {
  const auto record = make_record(metrics::Detail::stats, 4);  // keeps 0, 4, 8
  const auto whole = make_rows(0, 10);
  for (const index_t cut : {1, 2, 3, 4, 5, 10}) {
    Integers kept;
    for (index_t first = 0; first < 10; first += cut) {
      const auto slabs = io::step_slabs(record, make_rows(first, std::min(cut, 10 - first)));
      const Integers part = slab<Integers>(slabs, "start_full_ns", static_cast<index_t>(kept.size()) / 3);
      kept.insert(kept.end(), part.begin(), part.end());
    }
    EXPECT_EQ(kept, (Integers{0, 1, 2, 4000, 4001, 4002, 8000, 8001, 8002})) << cut;
  }
}

TEST(record_layout, every_slab_has_a_column_of_its_type_and_dimensions) {
  for (const auto detail : {metrics::Detail::full, metrics::Detail::stats}) {
    const auto record = make_record(detail, 4);
    const auto table = io::steps_table(record, 10);
    const auto slabs = io::step_slabs(record, make_rows(0, 10));
    EXPECT_EQ(slabs.size() + 1, table.columns.size());  // and phase_class
    for (const io::Slab& s : slabs) {
      std::size_t expected = 1;
      for (const std::string& d : column(table, s.column).dimensions) {
        expected *= d == "step" ? 10 : d == "full_step" || d == "rank" ? 3 : 2;
      }
      EXPECT_EQ(column(table, s.column).data.index(), s.data.index()) << s.column;
      EXPECT_EQ(metrics::size(s.data), expected) << s.column;
    }
  }
}

TEST(record_layout, units_and_names_stand_at_every_number) {
  for (const auto detail : {metrics::Detail::full, metrics::Detail::stats}) {
    for (const auto& c : io::steps_table(make_record(detail, 4), 10).columns) {
      EXPECT_TRUE(c.attributes.contains("long_name")) << c.name;
      if (std::holds_alternative<Texts>(c.data)) continue;
      ASSERT_TRUE(c.attributes.contains("units")) << c.name;
      const bool timing =
          c.attributes.at("units") == metrics::Attribute("s") || c.attributes.at("units") == metrics::Attribute("ns");
      EXPECT_EQ(c.attributes.contains("cell_methods"), timing) << c.name;
      EXPECT_EQ(c.name.ends_with("_s"), c.attributes.at("units") == metrics::Attribute("s")) << c.name;
      EXPECT_EQ(c.name.ends_with("_ns"), c.attributes.at("units") == metrics::Attribute("ns")) << c.name;
    }
  }
}

metrics::RunHeader with_events() {
  metrics::RunHeader record = make_record(metrics::Detail::full);
  record.events = {.first_step = 2, .last_step = 3, .capacity = 5, .parts = {"forward", "send"}, .units = {"linear0"}};
  return record;
}

TEST(record_layout, every_slab_of_events_has_a_column_of_its_type) {
  const auto table = io::events_table(with_events(), 5);
  const std::vector<metrics::EventRow> rows = {
      {1,
       {.step = 2, .part = 1, .stage = 3, .unit = 0, .micro_batch = 4, .piece = 5, .peer = 6, .bytes = 7, .match = 8}},
      {2, {.step = 3, .start_ns = 9, .end_ns = 10}}};
  const auto slabs = io::event_slabs(1, rows);
  EXPECT_EQ(slabs.size() + 2, table.columns.size());  // and the counts
  for (const io::Slab& s : slabs) {
    EXPECT_EQ(column(table, s.column).data.index(), s.data.index()) << s.column;
    EXPECT_EQ(column(table, s.column).dimensions, Texts{"event"}) << s.column;
  }
  const std::pair<const char*, Integers> expected[] = {
      {"rank", {1, 2}},  {"step", {2, 3}},         {"part", {1, -1}},    {"stage", {3, -1}},
      {"unit", {0, -1}}, {"micro_batch", {4, -1}}, {"piece", {5, -1}},   {"peer", {6, -1}},
      {"bytes", {7, 0}}, {"match", {8, -1}},       {"start_ns", {0, 9}}, {"end_ns", {0, 10}}};
  for (const auto& [name, values] : expected) EXPECT_EQ(slab<Integers>(slabs, name, 1), values) << name;
}

TEST(record_layout, reserved_events_are_marked_as_not_there) {
  const auto table = io::events_table(with_events(), 5);
  EXPECT_EQ(std::get<Integers>(column(table, "rank").data), Integers(5, -1));
  EXPECT_EQ(std::get<Texts>(table.scales.at(1).data), (Texts{"forward", "send"}));
  for (const auto& c : table.columns) {
    EXPECT_TRUE(c.attributes.contains("long_name") && c.attributes.contains("units")) << c.name;
    EXPECT_EQ(c.name.ends_with("_ns"), c.attributes.contains("cell_methods")) << c.name;
  }
}

TEST(record_layout, traffic_has_one_value_for_each_rank) {
  metrics::RunHeader record = make_record(metrics::Detail::full);
  const Integers three(3, 5);
  metrics::RunResults results;
  results.traffic = {{.kind = "allreduce",
                      .algorithm = "ring",
                      .axis = "data",
                      .calls = three,
                      .messages = three,
                      .sent_bytes = {1, 2, 3},
                      .seconds = Reals(3),
                      .expected_messages = Reals(3),
                      .expected_bytes = Reals(3)}};
  const auto tables = io::record_tables(record, results, 10);
  const auto traffic = std::find_if(tables.begin(), tables.end(), [](const auto& t) { return t.group == "/traffic"; });
  ASSERT_NE(traffic, tables.end());
  EXPECT_EQ(std::get<Texts>(traffic->scales.at(0).data), Texts{"allreduce/data/ring"});
  EXPECT_EQ(std::get<Integers>(column(*traffic, "sent_bytes").data), (Integers{1, 2, 3}));
  results.traffic[0].sent_bytes.pop_back();
  EXPECT_THROW(io::record_tables(record, results, 10), ShapeError);
}

TEST(record_layout, a_clock_drifts_by_what_its_offset_grew) {
  metrics::RunHeader record = make_record(metrics::Detail::full);
  record.ranks[1] = {.clock_offset_ns = -500, .clock_begin_ns = 1'000};
  record.ranks[2] = {.clock_offset_ns = 7, .clock_begin_ns = 1'000};
  const auto ranks = [&](const metrics::RunResults& results) {
    for (const auto& table : io::record_tables(record, results, 10))
      if (table.group == "/ranks") return table;
    throw std::runtime_error("no /ranks");
  };
  metrics::RunResults results;
  results.clock_offset_end_ns = {0, -300, 7};
  results.clock_end_ns = {2'000'000'000, 2'000'001'000, 1'000};
  const auto known = std::get<Reals>(column(ranks(results), "clock_drift").data);
  EXPECT_EQ(known[0], 0);
  EXPECT_DOUBLE_EQ(known[1], 1e-7);  // 200 ns in 2 s
  EXPECT_TRUE(std::isnan(known[2])) << "no time between";
  EXPECT_EQ(std::get<Integers>(column(ranks(results), "clock_offset_end_ns").data), (Integers{0, -300, 7}));

  record.ranks[1].clock_error_ns = 30;
  record.ranks[2].clock_error_ns = 50;
  results.clock_error_end_ns = {0, 40, 20};
  EXPECT_EQ(std::get<Integers>(column(ranks(results), "clock_error_ns").data), (Integers{0, 40, 50}));

  const auto running = ranks({});
  const auto unknown = std::get<Reals>(column(running, "clock_drift").data);
  for (const double drift : unknown) EXPECT_TRUE(std::isnan(drift));
  EXPECT_EQ(std::get<Integers>(column(running, "clock_end_ns").data), Integers(3, -1));
  results.clock_end_ns.pop_back();
  EXPECT_THROW(ranks(results), ShapeError);
}

TEST(record_layout, reserved_evaluations_are_marked_as_not_there) {
  const auto table = io::evaluation_table({}, 2);
  EXPECT_EQ(std::get<Integers>(column(table, "step").data), (Integers{-1, -1}));
}

}  // namespace
}  // namespace partita::io::record_layout_tests
