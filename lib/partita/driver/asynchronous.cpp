// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/asynchronous.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/driver/stop_agreement.hpp>
#include <partita/driver/training_run.hpp>

namespace partita::driver {
namespace {

template <class T>
void append(std::vector<T>& all, const std::vector<T>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

// Keeps its memory.
void forget(metrics::StepRows& rows) {
  rows.first_step += std::exchange(rows.count, 0);
  rows.phase_s.clear();
  rows.start_ns.clear();
  rows.end_ns.clear();
  rows.loss.clear();
  rows.grad_norm.clear();
  rows.samples.clear();
  rows.warmup.clear();
  rows.flushed.clear();
}

}  // namespace

AsynchronousRun::AsynchronousRun(TrainingRun& run, const RunOptions& options)
    : run_(run), options_(options), written_(run.work().first_step), flushed_ns_(now_ns()) {
  pending_.first_step = written_;
  if (!run.world().is_root()) return;
  const auto steps = static_cast<std::size_t>(std::min(longest_window, run.work().steps));
  const auto ranks = static_cast<std::size_t>(run.world().size());
  pending_.phase_s.reserve(steps * ranks * run.work().phases.size());
  for (std::vector<std::int64_t>* each : {&pending_.start_ns, &pending_.end_ns}) each->reserve(steps * ranks);
  for (std::vector<double>* each : {&pending_.loss, &pending_.grad_norm}) each->reserve(steps);
  pending_.samples.reserve(steps);
  pending_.flushed.reserve(steps);
}

void AsynchronousRun::beat(index_t step, const char* doing) {
  run_.attendance().beat(step, doing);
  run_.faults().begin_step(step);
}
void AsynchronousRun::warm_up_over() { run_.env().traffic().reset(); }
metrics::EventLog& AsynchronousRun::events() { return run_.events().log(); }
index_t AsynchronousRun::first_counted() const { return run_.first_counted(); }

void AsynchronousRun::add(const metrics::StepRows& rows) {
  if (!run_.world().is_root())
    refuse<ShapeError>("AsynchronousRun", fmt::format("rows of steps on rank {}", run_.world().rank()), "on rank 0");
  if (rows.first_step != added() || added() + rows.count > run_.work().steps)
    refuse<ShapeError>("AsynchronousRun",
                       fmt::format("steps {} .. {} are added", rows.first_step, rows.first_step + rows.count - 1),
                       fmt::format("steps from {} on, {} in all", added(), run_.work().steps));
  if (rows.count == 0) return;
  pending_.count += rows.count;
  append(pending_.phase_s, rows.phase_s);
  append(pending_.start_ns, rows.start_ns);
  append(pending_.end_ns, rows.end_ns);
  append(pending_.loss, rows.loss);
  append(pending_.grad_norm, rows.grad_norm);
  append(pending_.samples, rows.samples);
  pending_.flushed.push_back(static_cast<std::int8_t>(std::exchange(flushed_, false)));
  pending_.flushed.resize(static_cast<std::size_t>(pending_.count), 0);

  const bool due = options_.flush_every > 0 ? pending_.count >= options_.flush_every
                                            : seconds(now_ns() - flushed_ns_) >= flush_interval_s;
  if (due || pending_.count >= longest_window || added() == run_.work().steps) flush();
}

void AsynchronousRun::flush() {
  if (pending_.count == 0) return;
  run_.write(pending_);
  written_ += pending_.count;
  forget(pending_);
  flushed_ = true;
  flushed_ns_ = now_ns();
}

void AsynchronousRun::checkpoint(index_t done) {
  flush();
  run_.checkpoint_alone(done);
  flushed_ = true;
}

bool AsynchronousRun::should_stop() {
  const Attendance& attendance = run_.attendance();
  if (reason_.empty()) reason_ = attendance.reason(attendance.signal().received(), attendance.late());
  return !reason_.empty();
}

void AsynchronousRun::stop(const std::string& why) {
  if (reason_.empty()) reason_ = why;
}

bool AfterLoop::stop() {
  run_.attendance().beat(run_.work().steps, "after the loop");
  return looks_.after_pass();
}

void AfterLoop::checkpoint(index_t done) {
  run_.world().on_root([&] { run_.checkpoint_alone(done); });
}

void AfterLoop::evaluated(const metrics::EvaluationRow& row) {
  if (!run_.stop().stopped()) run_.evaluated(row);
}

void AfterLoop::grad_norms(std::span<const double> norms) {
  if (run_.world().is_root()) run_.write_grad_norms(norms);
}

namespace {

// Ranks come here one by one, and leave together; all know whether the run ended early.
void meet(TrainingRun& run, AsynchronousRun& mine) {
  const comm::Communicator& world = run.world();
  const index_t steps = run.work().steps;
  if (world.is_root()) mine.flush();
  world.barrier([&] { run.attendance().beat(steps, "waiting for the other ranks"); });
  run.stop().stop(world.on_root([&] {
    if (mine.added() == steps) return std::string();
    if (!mine.stop_reason().empty()) return mine.stop_reason();
    return fmt::format("its loop was over after {} of {} steps", mine.added(), steps);
  }));
  if (run.events().table().capacity == 0) return;
  const EventCollector::Gathered events = run.events().gather(world);
  world.on_root([&] { run.write(events); });
}

}  // namespace

ExitCode run_asynchronous(Session& session, const comm::Mesh& mesh, const RunOptions& options, const Exec& exec,
                          const Workload& work, const AsynchronousLoop& loop) {
  TrainingRun run(session, mesh, options, exec, work);
  AsynchronousRun mine(run, options);
  loop.run(mine);
  meet(run, mine);
  if (loop.after) {
    Looks looks(run.stop());
    AfterLoop after(run, looks);
    loop.after(after);
  }
  return run.conclude();
}

}  // namespace partita::driver
