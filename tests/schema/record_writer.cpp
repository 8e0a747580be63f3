// SPDX-License-Identifier: BSD-3-Clause
// Writes a record whose values can be checked from their indices alone, as fast or as slowly as it is told.
//
//     record_writer FILE [--steps N] [--rows N] [--ranks P] [--every K] [--stop-at S] [--pause-us U] [--announce]
//     [--repeat N] [--events K]
//
// --events: of each rank in each step (0: no /events); --rows: steps per write; --every: Detail::stats with every K-th
// step in full; --stop-at: finish early, incomplete;
// --announce: says "ready" once the .part file exists and a dot after every hundredth write; --repeat: writes the same
// file N times.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>

#include <partita/core/error.hpp>
#include <partita/io/record_file.hpp>
#include <partita/metrics/step_series.hpp>

namespace {

using namespace partita;
using metrics::PhaseClass;

// tests/schema/test_*.py know the same formulas.
constexpr std::int64_t step_ns = 1'000'000;
double phase_s(index_t step, index_t rank, index_t phase) {
  return 1e-6 * static_cast<double>(100 * step + 10 * rank + phase);
}
double grad_norm(index_t step) { return 0.5 * static_cast<double>(1 + step); }
constexpr index_t parts = 2, units = 3;  // event k of a rank and step: part k % 2, unit k % 3
double loss(index_t step) { return 1.0 / static_cast<double>(1 + step); }

metrics::RunHeader make_header(index_t steps, index_t ranks, index_t events) {
  metrics::RunHeader record;
  record.attributes = {{"app", "record_writer"}, {"strategy", "none"}, {"run_uuid", "0"}};
  record.deck_toml = "# a comment with an umlaut: \u00e4\n[train]\nsteps = 3\n";
  record.environment = {{"host", "here"}, {"compiler", "g++"}};
  record.calibration = {{"triad_byte_per_s", 1e10, "byte/s", "sustained memory rate of a triad"}};
  record.mesh_axes = {"data"};
  for (index_t r = 0; r < ranks; ++r) {
    record.ranks.push_back({.hostname = "here",
                            .local_rank = r,
                            .cores = std::to_string(r),
                            .role = r == 0 ? "server" : "worker",
                            .clock_offset_ns = -r,
                            .clock_begin_ns = 5 * r,
                            .coordinates = {r}});
  }
  record.phases = {
      {"forward", PhaseClass::compute}, {"allreduce", PhaseClass::communication}, {"wait", PhaseClass::wait}};
  record.steps = steps;
  record.evaluations = 2;
  record.events = {.first_step = 0,
                   .last_step = steps - 1,
                   .capacity = steps * ranks * events,
                   .parts = {"forward", "send"},
                   .units = {"linear0", "gelu0", "linear1"}};
  return record;
}

metrics::StepRows make_rows(index_t first, index_t count, index_t ranks, index_t phases) {
  metrics::StepRows rows{.first_step = first, .count = count};
  for (index_t i = first; i < first + count; ++i) {
    for (index_t r = 0; r < ranks; ++r) {
      for (index_t p = 0; p < phases; ++p) rows.phase_s.push_back(phase_s(i, r, p));
      rows.start_ns.push_back(step_ns * i + r);
      rows.end_ns.push_back(step_ns * (i + 1) + 2 * r);
    }
    rows.loss.push_back(loss(i));
    rows.grad_norm.push_back(grad_norm(i));
    rows.samples.push_back(32);
    rows.warmup.push_back(i < 2 ? 1 : 0);
    rows.flushed.push_back(i > 0 && i == first ? 1 : 0);
  }
  return rows;
}

std::vector<metrics::EventRow> make_events(index_t first, index_t count, index_t ranks, index_t events) {
  std::vector<metrics::EventRow> rows;
  for (index_t i = first; i < first + count; ++i) {
    for (index_t r = 0; r < ranks; ++r) {
      for (index_t k = 0; k < events; ++k) {
        const metrics::Event event{.step = i,
                                   .part = static_cast<std::int16_t>(k % parts),
                                   .stage = 0,
                                   .unit = static_cast<int>(k % units),
                                   .micro_batch = static_cast<int>(k),
                                   .bytes = 100 * i + 10 * r + k,
                                   .match = k % parts == 0 ? index_t{-1} : 10 * k,
                                   .start_ns = step_ns * i + 10 * k,
                                   .end_ns = step_ns * i + 10 * k + 5};
        rows.push_back({r, event});
      }
    }
  }
  return rows;
}

metrics::RunResults make_results(const metrics::StepSeries& series, std::size_t ranks) {
  metrics::RunResults record;
  record.traffic = {{.kind = "allreduce",
                     .algorithm = "ring",
                     .axis = "data",
                     .calls = std::vector<std::int64_t>(ranks, 1),
                     .messages = std::vector<std::int64_t>(ranks, 2),
                     .sent_bytes = std::vector<std::int64_t>(ranks, 64),
                     .seconds = std::vector<double>(ranks, 0.5),
                     .expected_messages = std::vector<double>(ranks, 2.0),
                     .expected_bytes = std::vector<double>(ranks, 64.0),
                     .predicted_s = 0.25}};
  record.evaluation = {{.step = 1, .loss = 2.0, .accuracy = 0.1, .samples = 10},
                       {.step = 2, .loss = 1.0, .accuracy = 0.5, .samples = 10}};
  record.summary = series.summary();
  record.compute_s = series.compute_s();
  for (std::size_t r = 0; r < ranks; ++r) {  // an offset grows by r ns in 10 ms
    record.clock_offset_end_ns.push_back(0);
    record.clock_end_ns.push_back(10 * step_ns + 5 * static_cast<std::int64_t>(r));
  }
  record.tables = {
      {.group = "/strategy",
       .scales = {metrics::index_scale("staleness", 3, "updates missed")},
       .columns = {{"count", {"rank", "staleness"}, std::vector<std::int64_t>(3 * ranks, 7), {{"units", "1"}}}}}};
  return record;
}

struct Options {
  std::string file;
  index_t steps = 6, rows = 2, ranks = 2, every = 0, stop_at = -1, pause_us = 0, repeat = 1, events = 4;
  bool announce = false;
};

void write_one(const Options& options) {
  metrics::RunHeader record = make_header(options.steps, options.ranks, options.events);
  if (options.every > 0) {
    record.detail = metrics::Detail::stats;
    record.full_every = options.every;
  }
  io::RecordFile out(options.file, record);
  const auto announce = [&](const char* text) {
    if (options.announce) {
      std::puts(text);
      std::fflush(stdout);
    }
  };
  announce("ready");
  metrics::StepSeries series(record.phases, options.ranks);
  const bool complete = options.stop_at < 0;
  const index_t end = complete ? options.steps : options.stop_at;
  for (index_t first = 0; first < end; first += options.rows) {
    const metrics::StepRows part = make_rows(first, std::min(options.rows, end - first), options.ranks, 3);
    series.add(part);
    if (options.events > 0)  // of each step, one more found no room
      out.write_events(make_events(first, part.count, options.ranks, options.events), first + part.count);
    out.write_steps(part);
    if ((first / options.rows + 1) % 100 == 0) announce(".");
    if (first == 0) out.write_evaluation({.step = 1, .loss = 2.0, .accuracy = 0.1, .samples = 10});
    if (options.pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(options.pause_us));
  }
  out.finish(make_results(series, record.ranks.size()), complete, complete ? "done" : "signal 15");
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Writes a record for tests");
  app.add_option("file", options.file)->required();
  app.add_option("--steps", options.steps);
  app.add_option("--rows", options.rows);
  app.add_option("--ranks", options.ranks);
  app.add_option("--every", options.every);
  app.add_option("--stop-at", options.stop_at);
  app.add_option("--pause-us", options.pause_us);
  app.add_option("--repeat", options.repeat);
  app.add_option("--events", options.events);
  app.add_flag("--announce", options.announce);
  CLI11_PARSE(app, argc, argv);
  for (index_t i = 0; i < options.repeat; ++i) write_one(options);
  return 0;
} catch (const partita::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return static_cast<int>(error.code());
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
