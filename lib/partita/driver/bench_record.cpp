// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/bench_record.hpp>

#include <optional>

#include <fmt/format.h>

#include <partita/driver/calibration.hpp>
#include <partita/driver/describe.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/driver/traffic_rows.hpp>

namespace partita::driver {

BenchRecord::BenchRecord(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run,
                         const std::string& subject)
    : env_(env), run_(run) {
  std::optional<io::Output> output;
  env.world().on_root([&] { output.emplace(take_output(run)); });
  const Placement placement = examine_placement(env.world());
  if (placement.oversubscribed && run.oversubscribe == Oversubscribe::error)
    refuse<EnvironmentError>("run.oversubscribe", placement.message, "no more threads than cores, or \"warn\"");
  if (placement.oversubscribed && env.rank() == 0)
    say_aside(fmt::format("warning: {}; times of this run say nothing about {}\n", placement.message, subject));
  describe_run(env, mesh, run, placement, record_);
  record_.attributes["strategy"] = run.origin.app;
  record_.calibration = calibrate(env, run.calibration, Exec());
  env.world().on_root([&] { file_ = std::make_unique<io::RecordFile>(std::move(*output), record_); });
}

ExitCode BenchRecord::finish(const Verification& verdict, const std::string& figure_of_merit, Verdict to) {
  record_.traffic = collect_traffic(env_.world(), env_.traffic(), record_.calibration);
  describe_end(env_.world(), {}, record_);
  env_.world().on_root([&] {
    record_.attributes["verification"] = verdict.text;
    record_.attributes["verified"] = std::int64_t{verdict.passed};
    file_->finish(record_, true, "done");
    const std::string line = fmt::format("{}: {} on {} rank{}; record {}; verification {}: {}\n", run_.origin.app,
                                         figure_of_merit, env_.size(), env_.size() > 1 ? "s" : "", run_.output,
                                         verdict.passed ? "passed" : "FAILED", verdict.text);
    if (to == Verdict::aside) return say_aside(line);
    say("\n" + line);
    if (verdict.passed) require_said();
  });
  return verdict.passed ? ExitCode::done : ExitCode::check_failed;
}

}  // namespace partita::driver
