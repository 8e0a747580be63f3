// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/bench_record.hpp>

#include <fmt/format.h>

#include <partita/driver/terminal.hpp>

namespace partita::driver {

BenchRecord::BenchRecord(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run,
                         const std::string& subject)
    : env_(env), run_(run), frame_(env, mesh, run, Exec(), subject, "benchmark") {
  frame_.header().attributes["strategy"] = run.origin.app;
  frame_.open();
}

ExitCode BenchRecord::finish(const Verification& verdict, const std::string& figure_of_merit, Verdict to) {
  frame_.collect({});
  env_.world().on_root([&] {
    const std::string path = frame_.finish(verdict, true, "done");
    const std::string line =
        fmt::format("{}: {} on {} rank{}; record {}; verification {}: {}\n", run_.origin.app, figure_of_merit,
                    env_.size(), env_.size() > 1 ? "s" : "", path, verdict.passed ? "passed" : "FAILED", verdict.text);
    if (to == Verdict::aside)
      say_aside(line);
    else
      say("\n" + line);
    if (verdict.passed) require_said();
  });
  return verdict.passed ? ExitCode::done : ExitCode::check_failed;
}

}  // namespace partita::driver
