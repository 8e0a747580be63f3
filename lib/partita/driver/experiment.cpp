// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/experiment.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/driver/collector.hpp>
#include <partita/driver/training_run.hpp>

namespace partita::driver {
namespace {

constexpr index_t shortest_window = 4;  // of steps between two flushes: the first of them counts in no statistic

// The steps of a run whose ranks go through them together.
class SynchronousLoop {
 public:
  SynchronousLoop(TrainingRun& run, const RunOptions& options, const Exec& exec);
  void train();

 private:
  bool step(index_t s);
  bool await(index_t s, Instruments& instruments);
  void flush(index_t done);
  void evaluate(index_t done);
  void checkpoint(index_t done);
  void check_replicas(index_t done);
  void plan_next_flush(index_t done);

  TrainingRun& run_;
  const Workload& work_;
  const comm::Communicator& world_;
  Attendance& attendance_;
  StopAgreement& stop_;
  EventCollector& events_;
  const RunOptions& options_;
  const Exec& exec_;

  metrics::PhaseTimer timer_;
  Collector collector_;
  index_t next_flush_ = 0;  // after so many steps
  index_t saved_;           // steps that the last checkpoint has
  double last_step_s_ = 0, longest_step_s_ = 0;
  bool flushed_ = false;  // just before the step that comes next
  std::vector<std::int8_t> marks_;
};

SynchronousLoop::SynchronousLoop(TrainingRun& run, const RunOptions& options, const Exec& exec)
    : run_(run),
      work_(run.work()),
      world_(run.world()),
      attendance_(run.attendance()),
      stop_(run.stop()),
      events_(run.events()),
      options_(options),
      exec_(exec),
      timer_(work_.phases),
      collector_(exec, work_.first_step, std::min(longest_window, work_.steps), work_.phases.size(), work_.loss_terms,
                 work_.norm_part),
      saved_(work_.first_step) {
  marks_.reserve(static_cast<std::size_t>(longest_window));
  timer_.show(attendance_.show_phases(work_.phases));
}

void SynchronousLoop::train() {
  Looks looks(stop_);
  index_t done = work_.first_step;
  while (done < work_.steps && !stop_.stopped()) {
    if (done == run_.first_counted()) {
      flush(done);
      run_.env().traffic().reset();
      if (done > work_.first_step) attendance_.learn(longest_step_s_);
    }
    if (!step(done)) {
      flush(done);
      break;
    }
    ++done;
    const bool last = done == work_.steps || looks.after_pass();  // after the last step there is nothing left to stop
    const bool evaluates = work_.evaluate_every > 0 && (done % work_.evaluate_every == 0 || done == work_.steps);
    const bool saves = work_.checkpoint && work_.checkpoint_every > 0 && done % work_.checkpoint_every == 0;
    const bool checks = options_.check_replicas_every > 0 && done % options_.check_replicas_every == 0;
    const bool due = done > run_.first_counted() && done >= next_flush_;
    if (due || evaluates || saves || checks || collector_.full() || events_.due(done) || last) flush(done);
    if (checks && !stop_.stopped()) check_replicas(done);
    if (evaluates && !stop_.stopped()) evaluate(done);
    if (saves && !run_.failed()) checkpoint(done);
  }
  // Also of a run that was stopped, but not of one whose numbers are of no use.
  if (work_.checkpoint && saved_ < done && !run_.failed()) checkpoint(done);
}

void SynchronousLoop::check_replicas(index_t done) {
  attendance_.beat(done, "a check of replicas");
  if (const std::string found = work_.replicas(); !found.empty())
    run_.fail(fmt::format("after step {} copies differ: {}", done, found));
}

// After a flush, which has the losses.
void SynchronousLoop::checkpoint(index_t done) {
  run_.checkpoint(done);
  saved_ = done;
  flushed_ = true;
}

// Whether there is input; ranks that stop leave together.
bool SynchronousLoop::await(index_t s, Instruments& instruments) {
  if (!work_.await) return true;
  const std::string why = work_.await(
      s,
      [this, s] {
        attendance_.beat(s, "waiting for input");
        stop_.look(0);
        return stop_.stopped();
      },
      instruments);
  if (!why.empty()) stop_.stop(why);
  return !stop_.stopped();
}

// False: without input there is none.
bool SynchronousLoop::step(index_t s) {
  const bool warm_up = s < run_.first_counted();
  attendance_.beat_step(s, warm_up ? "warm-up" : "a step");
  timer_.begin_step(exec_);
  run_.faults().begin_step(s);
  Instruments instruments{timer_, events_.log(), warm_up, &run_.faults()};
  if (!await(s, instruments)) {
    timer_.end_step(exec_);
    return false;
  }
  marks_.push_back(static_cast<std::int8_t>(flushed_));
  flushed_ = false;
  work_.step(s, collector_.output(), instruments);
  const metrics::StepTimes& times = timer_.end_step(exec_);
  last_step_s_ = seconds(times.end_ns - times.start_ns);
  longest_step_s_ = std::max(longest_step_s_, last_step_s_);
  collector_.add(times);
  return true;
}

void SynchronousLoop::flush(index_t done) {
  attendance_.beat(done, "a flush of the record");
  flushed_ = true;
  plan_next_flush(done);
  if (collector_.count() == 0) return;
  metrics::StepRows rows = collector_.flush(exec_, world_, work_.loss);
  if (work_.sound)
    if (const std::string why = work_.sound(rows, collector_.bad_rank()); !why.empty()) run_.fail(why);
  EventCollector::Gathered events;
  const bool chosen = events_.chosen(rows.first_step, rows.count);
  if (chosen) events = events_.gather(world_);
  world_.on_root([&] {
    // Ahead of the steps: whoever sees that a chosen step was written finds its events.
    if (chosen) run_.write(events);
    for (index_t s = rows.first_step; s < rows.first_step + rows.count; ++s)
      rows.samples.push_back(work_.samples ? work_.samples(s) : work_.samples_per_step);
    rows.flushed = marks_;
    run_.write(std::move(rows));
  });
  marks_.clear();
}

void SynchronousLoop::plan_next_flush(index_t done) {
  index_t every = options_.flush_every;
  if (every == 0)
    every = last_step_s_ > 0
                ? std::clamp<index_t>(std::llround(flush_interval_s / last_step_s_), shortest_window, longest_window)
                : 1;
  world_.broadcast(every);
  next_flush_ = done + every;
}

void SynchronousLoop::evaluate(index_t done) {
  Looks looks(stop_);
  metrics::EvaluationRow row = work_.evaluate([&] {
    attendance_.beat(done, "an evaluation");
    return looks.after_pass();
  });
  if (stop_.stopped()) return;
  row.step = done;
  run_.evaluated(row);
}

}  // namespace

ExitCode run_experiment(Session& session, const comm::Mesh& mesh, const RunOptions& options, const Exec& exec,
                        const Workload& work) {
  TrainingRun run(session, mesh, options, exec, work);
  SynchronousLoop(run, options, exec).train();
  return run.conclude();
}

}  // namespace partita::driver
