// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/run_options.hpp>

#include <vector>

#include <fmt/format.h>

namespace partita::driver {
namespace {

// The module io knows files, not keys.
template <class F>
auto naming_the_key(F f) {
  try {
    return f();
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("output.path: {} (--output FILE)", error.what()));
  }
}

}  // namespace

RunOptions read_common_options(config::Deck& deck, const std::string& output) {
  RunOptions run;
  run.hang_timeout_s = 0;  // what a program without steps does may take its time
  run.oversubscribe = deck.choice("run.oversubscribe", run.oversubscribe,
                                  {{"warn", Oversubscribe::warn}, {"error", Oversubscribe::error}},
                                  "what to do when there are more threads than cores");
  run.calibration = deck.choice(
      "run.calibration", run.calibration,
      {{"cached", CalibrationMode::cached}, {"fresh", CalibrationMode::fresh}, {"off", CalibrationMode::off}},
      "measure this machine once and remember it, measure it now, or leave it out");
  run.study = deck.text("record.study", "", "study that this run belongs to");
  run.point = deck.text("record.point", "", "point of the study");
  run.output = deck.text("output.path", output, "the record to write (HDF5)");
  if (run.output.empty()) deck.reject("output.path", "an empty path; give the name of the record to write");
  return run;
}

RunOptions read_run_options(config::Deck& deck, const std::string& output) {
  using config::IntRange;
  using config::RealRange;
  RunOptions run = read_common_options(deck, output);
  run.warmup = deck.integer("run.warmup", run.warmup, IntRange::count(),
                            {"first steps that train but count in no statistic", "steps"});
  run.time_limit_s = deck.real("run.time_limit_s", run.time_limit_s, {0, 1e9},
                               {"end in good order after this time (exit 5); 0 = no limit", "s"});
  run.hang_timeout_s = deck.real("run.hang_timeout_s", RunOptions().hang_timeout_s, {0, 1e6},
                                 {"end the job when no step was finished for so long (exit 5); 0 = never", "s"});
  run.detail =
      deck.choice("record.detail", run.detail, {{"full", metrics::Detail::full}, {"stats", metrics::Detail::stats}},
                  "times of every rank, or mean, minimum and maximum over ranks");
  run.flush_every = deck.integer("record.flush_every", run.flush_every, IntRange::count(),
                                 {"steps between writes of the record; 0 = about a second", "steps"});
  const std::vector<index_t> events =
      deck.integers("record.events", std::vector<index_t>{}, IntRange::at_least(0),
                    {"[first, last] step whose timeline is kept in /events, from 0; [] = none", "steps"});
  if (!events.empty()) {
    if (events.size() != 2) deck.reject("record.events", "expected two steps, [first, last], or [] for none");
    if (events[1] < events[0])
      deck.reject("record.events", fmt::format("the last step, {}, comes before the first, {}; expected [first, last]",
                                               events[1], events[0]));
    run.first_event_step = events[0];
    run.last_event_step = events[1];
  }
  return run;
}

io::Output take_output(const RunOptions& run) {
  return naming_the_key([&] { return io::Output(run.output); });
}

void try_output(const RunOptions& run) {
  naming_the_key([&] { io::try_output(run.output); });
}

}  // namespace partita::driver
