// SPDX-License-Identifier: BSD-3-Clause
// A whole run through run_experiment: its log, its gradient norms, and the timeline of ranks that do unlike things.
#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include <partita/comm/mesh.hpp>
#include <partita/driver/event_collector.hpp>
#include <partita/driver/experiment.hpp>
#include <partita/io/hdf5_file.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::driver::events_tests {
namespace {

using io::File;
using partita::test::world;
using partita::testing::TemporaryFolder;
using Integers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

constexpr index_t steps = 8, first = 2, last = 4;

// Rank 0 sends and works, the others receive and work; rank r makes r + 1 events a step. The last chosen step makes one
// more than was planned.
Workload make_workload() {
  const int rank = world().rank();
  Workload work;
  work.strategy = "none";
  work.description = "model toy\nranks " + std::to_string(world().size());
  work.phases = {{"work", metrics::PhaseClass::compute}};
  work.steps = steps;
  work.samples_per_step = 1;
  work.loss_terms = 1;
  work.events_per_step = rank + 1;
  work.event_parts = rank == 0 ? Names{"send", "work"} : Names{"work", "receive"};
  work.event_units = {"unit" + std::to_string(rank), "head"};
  work.step = [rank](index_t step, const StepOutput& out, Instruments& instruments) {
    const Exec exec;
    Kokkos::deep_copy(exec, out.losses, 1.0);
    if (step != 3) Kokkos::deep_copy(exec, out.grad_norm, 0.5 + static_cast<double>(step));
    if (!instruments.events.wants(step)) return;
    for (int k = 0; k < rank + 1 + (step == last); ++k)
      instruments.events.add({.step = step,
                              .part = static_cast<std::int16_t>(rank == 0 ? 1 : 0),
                              .unit = k % 2,
                              .micro_batch = k,
                              .bytes = 100 * rank + k,
                              .match = k == 0 ? index_t{-1} : 7 * k,
                              .start_ns = 10 * step,
                              .end_ns = 10 * step + 1});
  };
  work.loss = [](std::span<const double> terms) { return terms.front(); };
  work.verify = [](const metrics::RunResults&, std::span<const double>) {
    return Verification{true, "nothing to see"};
  };
  return work;
}

// A program of its own name, without a deck.
struct Toy {
  Toy(RunOptions& run) { session.start(run); }  // NOLINT(google-explicit-constructor)
  char name[4] = "toy";
  char* arguments[2] = {name, nullptr};
  Session session{partita::test::environment(), 1, arguments, "toy", "a run for tests", false};
};

RunOptions make_run(const std::string& output) {
  RunOptions run;
  run.output = output;
  run.warmup = 1;
  run.flush_every = 1000;
  run.calibration = CalibrationMode::off;
  run.first_event_step = first;
  run.last_event_step = last;
  return run;
}

Integers integers(const File& file, const std::string& dataset) { return std::get<Integers>(file.read(dataset)); }

// What the table should hold: by step, then by rank.
void check_events(const File& file) {
  const int P = world().size();
  Integers rank, step, micro_batch, bytes, match;
  Names unit;
  for (index_t s = first; s <= last; ++s)
    for (int r = 0; r < P; ++r)
      for (int k = 0; k < r + 1; ++k) {
        rank.push_back(r);
        step.push_back(s);
        unit.push_back(k % 2 == 0 ? "unit" + std::to_string(r) : "head");
        micro_batch.push_back(k);
        bytes.push_back(100 * r + k);
        match.push_back(k == 0 ? -1 : 7 * k);
      }
  const auto written = static_cast<index_t>(rank.size());
  EXPECT_EQ(integers(file, "/events/events_written"), Integers{written});
  EXPECT_EQ(integers(file, "/events/events_dropped"), Integers{P});
  const auto valid = [&](const char* column) {
    Integers values = integers(file, std::string("/events/") + column);
    values.resize(rank.size());
    return values;
  };
  EXPECT_EQ(valid("rank"), rank);
  EXPECT_EQ(valid("step"), step);
  EXPECT_EQ(valid("micro_batch"), micro_batch);
  EXPECT_EQ(valid("bytes"), bytes);
  EXPECT_EQ(valid("match"), match);
  EXPECT_EQ(valid("peer"), Integers(rank.size(), -1));
  const auto parts = std::get<Names>(file.read("/events/part_name"));
  const auto units = std::get<Names>(file.read("/events/unit_name"));
  EXPECT_EQ(parts, P == 1 ? (Names{"send", "work"}) : (Names{"send", "work", "receive"}));
  EXPECT_EQ(valid("part"), Integers(rank.size(), 1)) << "work, whatever its number on the rank";
  const Integers number = valid("unit");
  for (std::size_t i = 0; i < number.size(); ++i) EXPECT_EQ(units.at(static_cast<std::size_t>(number[i])), unit[i]);
}

// The clock of each rank was looked at before the first step and after the last; one host has one clock.
void check_clocks(const File& file) {
  const auto P = static_cast<std::size_t>(world().size());
  const Integers begin_ns = integers(file, "/ranks/clock_begin_ns"), end_ns = integers(file, "/ranks/clock_end_ns");
  const Integers offset = integers(file, "/ranks/clock_offset_ns"),
                 last_offset = integers(file, "/ranks/clock_offset_end_ns");
  const auto drift = std::get<std::vector<double>>(file.read("/ranks/clock_drift"));
  const Integers steps_begin = integers(file, "/steps/start_ns"), steps_end = integers(file, "/steps/end_ns");
  for (std::size_t r = 0; r < P; ++r) {
    EXPECT_LT(begin_ns.at(r), steps_begin.at(r));
    EXPECT_GT(end_ns.at(r), steps_end.at(steps_end.size() - P + r));
    EXPECT_EQ(offset.at(r), 0);
    EXPECT_EQ(last_offset.at(r), 0);
    EXPECT_EQ(drift.at(r), 0);
  }
}

TEST(events, of_unlike_ranks_are_in_the_record_and_before_that_in_the_part) {
  const TemporaryFolder folder;
  const comm::Mesh mesh(world(), {{"data", world().size()}});
  RunOptions run = make_run(folder / "x.h5");
  Toy toy(run);
  Workload work = make_workload();
  bool part_was_right = false;
  work.step = [&, step = work.step](index_t s, const StepOutput& out, Instruments& instruments) {
    step(s, out, instruments);
    if (s != last + 1 || !world().is_root()) return;
    // Nothing was due but for the events; another process would see this.
    std::filesystem::copy_file(run.output + ".part", folder / "seen.h5");
    const File part = File::open(folder / "seen.h5");
    EXPECT_EQ(integers(part, "/steps_written"), Integers{last + 1});
    EXPECT_EQ(part.extents("/events/rank").at(0), 3 * world().size() * (world().size() + 1) / 2);
    check_events(part);
    part_was_right = true;
  };
  ::testing::internal::CaptureStdout();
  const ExitCode code = run_experiment(toy.session, mesh, run, Exec(), work);
  const std::string log = ::testing::internal::GetCapturedStdout();
  ASSERT_ALL(world(), code == ExitCode::done);
  if (!world().is_root()) {
    EXPECT_EQ(log, "");
    return;
  }
  EXPECT_TRUE(part_was_right);
  EXPECT_TRUE(log.starts_with("model toy\nranks " + std::to_string(world().size()) + "\n")) << log;
  const File file = File::open(run.output);
  check_events(file);
  EXPECT_EQ(std::get<std::int64_t>(file.read_attribute("/events", "first_step")), first);
  EXPECT_EQ(std::get<std::int64_t>(file.read_attribute("/events", "last_step")), last);
  check_clocks(file);
  const auto norms = std::get<std::vector<double>>(file.read("/steps/grad_norm"));
  ASSERT_EQ(norms.size(), static_cast<std::size_t>(steps));
  for (std::size_t s = 0; s < norms.size(); ++s) {
    if (s == 3) {
      EXPECT_TRUE(std::isnan(norms[s]));
    } else {
      EXPECT_EQ(norms[s], 0.5 + static_cast<double>(s));
    }
  }
}

TEST(events, none_are_kept_unless_they_are_asked_for) {
  const TemporaryFolder folder;
  const comm::Mesh mesh(world(), {{"data", world().size()}});
  RunOptions run = make_run(folder / "x.h5");
  run.last_event_step = -1;
  Toy toy(run);
  ::testing::internal::CaptureStdout();
  const ExitCode code = run_experiment(toy.session, mesh, run, Exec(), make_workload());
  ::testing::internal::GetCapturedStdout();
  ASSERT_ALL(world(), code == ExitCode::done);
  if (world().is_root()) {
    EXPECT_FALSE(File::open(run.output).exists("/events"));
  }
}

std::string refusal(const RunOptions& run, const Workload& work) {
  return partita::testing::caught<UsageError>([&] { EventCollector(world(), run, work); });
}

TEST(events, what_a_run_cannot_give_is_refused_on_all_ranks) {
  RunOptions run = make_run("x.h5");
  Workload work = make_workload();
  run.last_event_step = steps;
  EXPECT_EQ(refusal(run, work), "record.events: step 8 of a run of 8 steps: expected steps from 0 to 7");
  run.last_event_step = steps - 1;
  if (world().rank() > 0) work.events_per_step = 0;
  EXPECT_EQ(refusal(run, work), "nothing was thrown");
  work.events_per_step = index_t{1} << 24;
  EXPECT_NE(refusal(run, work).find("record.events: 6 steps of"), std::string::npos);
  work.events_per_step = 0;
  EXPECT_NE(refusal(run, work).find("make no events"), std::string::npos);
}

}  // namespace
}  // namespace partita::driver::events_tests
