// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/run_options.hpp>

#include <vector>

#include <fmt/format.h>

#include <partita/config/command_line.hpp>

namespace partita::driver {
namespace {

constexpr Named<Oversubscribe> oversubscriptions[] = {{"warn", Oversubscribe::warn}, {"error", Oversubscribe::error}};
constexpr Named<CalibrationMode> calibrations[] = {
    {"cached", CalibrationMode::cached}, {"fresh", CalibrationMode::fresh}, {"off", CalibrationMode::off}};
constexpr Named<metrics::Detail> details[] = {{"full", metrics::Detail::full}, {"stats", metrics::Detail::stats}};

constexpr double learnt = -1;

// The module io knows files, not keys.
template <class F>
auto naming_the_key(F f) {
  try {
    return f();
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {} (--output FILE)", config::output_key, error.what()));
  }
}

}  // namespace

RunOptions read_common_options(config::Deck& deck, const std::string& output) {
  RunOptions run;
  run.hang_timeout_s = 0;  // what a program without steps does may take its time
  run.output = output;
  deck.choice("run.oversubscribe", run.oversubscribe, oversubscriptions,
              "what to do when there are more threads than cores");
  deck.choice("run.calibration", run.calibration, calibrations,
              "measure this machine once and remember it, measure it now, or leave it out");
  deck.text("record.study", run.study, "study that this run belongs to");
  deck.text("record.point", run.point, "point of the study");
  deck.text(config::output_key, run.output, "the record to write (HDF5)");
  if (run.output.empty()) deck.reject(config::output_key, "an empty path", "the name of the record to write");
  return run;
}

RunOptions read_run_options(config::Deck& deck, const std::string& output) {
  using config::IntRange;
  RunOptions run = read_common_options(deck, output);
  run.hang_timeout_s = learnt;
  deck.integer("run.warmup", run.warmup, IntRange::count(),
               {"first steps that train but count in no statistic", "steps"});
  deck.real("run.time_limit_s", run.time_limit_s, {0, 1e9},
            {"end in good order after this time (exit 5); 0 = no limit", "s"});
  deck.real(
      "run.hang_timeout_s", run.hang_timeout_s, {learnt, 1e6},
      {"end the job when a rank made no progress for so long (exit 5); 0 = never, -1 = 300, and after the warm-up "
       "within steps 20 times its longest step, at least 30",
       "s"});
  if (run.hang_timeout_s < 0) {
    if (run.hang_timeout_s != learnt)
      deck.reject("run.hang_timeout_s", fmt::format("{}", run.hang_timeout_s), "seconds, 0 (never) or -1 (learnt)");
    run.hang_timeout_s = RunOptions().hang_timeout_s;
    run.learns_hang_timeout = true;
  }
  deck.boolean("run.check_collectives", run.check_collectives,
               "ranks compare their collective calls: those that differ are errors (exit 1), no hangs; takes time");
  deck.integer("run.check_replicas_every", run.check_replicas_every, IntRange::count(),
               {"look for copies of weights that differ between ranks after every so many steps (exit 3); 0 = only at "
                "the end",
                "steps"});
  deck.choice("record.detail", run.detail, details, "times of every rank, or mean, minimum and maximum over ranks");
  deck.integer("record.flush_every", run.flush_every, IntRange::count(),
               {"steps between writes of the record; 0 = about a second", "steps"});
  const std::vector<index_t> events =
      deck.integers("record.events", std::vector<index_t>{}, IntRange::at_least(0),
                    {"[first, last] step whose timeline is kept in /events, from 0; [] = none", "steps"});
  if (!events.empty()) {
    if (events.size() != 2)
      deck.reject("record.events", fmt::format("{} steps", events.size()), "two, [first, last], or [] for none");
    if (events[1] < events[0])
      deck.reject("record.events", fmt::format("the last step, {}, comes before the first, {}", events[1], events[0]),
                  "[first, last]");
    run.first_event_step = events[0];
    run.last_event_step = events[1];
  }
  run.faults = read_faults(deck);
  return run;
}

io::Output take_output(const RunOptions& run) {
  return naming_the_key([&] { return io::Output(run.output); });
}

void try_output(const RunOptions& run) {
  naming_the_key([&] { io::try_output(run.output); });
}

}  // namespace partita::driver
