// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/run_record.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/driver/calibration.hpp>
#include <partita/driver/describe.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/driver/traffic_rows.hpp>

namespace partita::driver {

RunRecord::RunRecord(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec,
                     const std::string& subject, const std::string& role, const std::string& head)
    : env_(env) {
  const comm::Communicator& world = env.world();
  world.on_root([&] { output_.emplace(take_output(run)); });
  const Placement placement = examine_placement(world);
  if (placement.oversubscribed && run.oversubscribe == Oversubscribe::error)
    refuse<EnvironmentError>("run.oversubscribe", placement.message, "no more threads than cores, or \"warn\"");
  if (placement.oversubscribed && world.is_root())
    say_aside(fmt::format("warning: {}; times of this run say nothing about {}\n", placement.message, subject));
  if (!head.empty() && world.is_root()) say(head + "\n");
  describe_run(env, mesh, run, placement, role, header_);
  header_.calibration = calibrate(env, run.calibration, exec);
}

void RunRecord::open() {
  env_.world().on_root([&] { file_ = std::make_unique<io::RecordFile>(std::move(*output_), header_); });
}

void RunRecord::collect(const std::vector<double>& compute_s) {
  results_.traffic = collect_traffic(env_.world(), env_.traffic(), header_.calibration);
  describe_end(env_.world(), header_, compute_s, results_);
}

std::string RunRecord::finish(const Verification& verdict, bool complete, const std::string& exit_reason) {
  for (const auto& [name, value] : verdict.attributes) results_.attributes[name] = value;
  results_.attributes["verification"] = verdict.text;
  results_.attributes["verified"] = std::int64_t{verdict.passed};
  return file_->finish(results_, complete, exit_reason);
}

}  // namespace partita::driver
