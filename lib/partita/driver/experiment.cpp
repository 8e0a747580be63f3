// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/experiment.hpp>

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/driver/collector.hpp>
#include <partita/driver/event_collector.hpp>
#include <partita/driver/figure_of_merit.hpp>
#include <partita/driver/progress_line.hpp>
#include <partita/driver/run_record.hpp>
#include <partita/driver/stop_agreement.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/io/record_layout.hpp>
#include <partita/metrics/step_series.hpp>

namespace partita::driver {
namespace {

constexpr index_t longest_window = 1024;  // steps kept in memory between flushes
constexpr index_t shortest_window = 4;    // the first of them counts in no statistic
constexpr double flush_interval_s = 1;
constexpr double most_record_bytes = 2.0 * 1024 * 1024 * 1024;

// A record has room for all steps from the start: too many are refused before anything is made for them.
void require_record_size(const comm::Communicator& world, const RunOptions& run, const Workload& work) {
  metrics::RunHeader header;
  header.ranks.resize(static_cast<std::size_t>(world.size()));
  header.phases = work.phases;
  const auto bytes = [&](metrics::Detail detail) {
    header.detail = detail;
    return io::step_bytes(header) * static_cast<double>(work.steps);
  };
  const double asked = bytes(run.detail);
  if (world.all_of(asked <= most_record_bytes)) return;
  const bool stats_fit = world.all_of(bytes(metrics::Detail::stats) <= most_record_bytes);
  const double least = world.allreduce(asked, comm::Op::max);
  refuse<UsageError>(
      "record.detail",
      fmt::format("a record of {} steps of {} ranks takes {:.3g} GB", work.steps, world.size(), 1e-9 * least),
      fmt::format("at most {:.3g} GB: fewer steps{}", 1e-9 * most_record_bytes,
                  stats_fit ? ", or record.detail = \"stats\"" : ""));
}

class Experiment {
 public:
  Experiment(Session& session, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec, const Workload& work);
  ExitCode run();

 private:
  void prepare();
  void train();
  bool step(index_t s);
  bool await(index_t s, Instruments& instruments);
  void flush(index_t done);
  void evaluate(index_t done);
  void plan_next_flush(index_t done);
  std::exception_ptr save();
  ExitCode conclude();

  comm::Environment& env_;
  Attendance& attendance_;
  const comm::Communicator& world_;
  const RunOptions& run_;
  const Exec& exec_;
  const Workload& work_;

  metrics::PhaseTimer timer_;
  Collector collector_;
  EventCollector events_;
  metrics::StepSeries series_;
  std::vector<double> losses_;  // rank 0: of every step so far
  RunRecord frame_;
  metrics::RunHeader& header_;
  metrics::RunResults& results_;
  StopAgreement stop_;
  std::unique_ptr<ProgressLine> progress_;
  index_t warmup_;
  index_t next_flush_ = 0;  // after so many steps
  double last_step_s_ = 0;
  bool flushed_ = false;  // just before the step that comes next
  std::vector<std::int8_t> marks_;
};

Experiment::Experiment(Session& session, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec,
                       const Workload& work)
    : env_(session.env()),
      attendance_(session.attendance()),
      world_(env_.world()),
      run_(run),
      exec_(exec),
      work_(work),
      timer_(work.phases),
      collector_(exec, std::min(longest_window, work.steps), work.phases.size(), work.loss_terms, work.norm_part),
      events_(world_, run, work),
      series_(work.phases, world_.size()),
      frame_(env_, mesh, run, exec, "scaling", work.description),
      header_(frame_.header()),
      results_(frame_.results()),
      stop_(world_, attendance_),
      warmup_(std::min(run.warmup, work.steps - 1)) {
  marks_.reserve(static_cast<std::size_t>(longest_window));
}

void Experiment::prepare() {
  header_.attributes["strategy"] = work_.strategy;
  header_.attributes["flop_per_step"] = work_.flop_per_step;
  header_.attributes["samples_per_step"] = std::int64_t{work_.samples_per_step};
  header_.attributes["warmup_steps"] = std::int64_t{warmup_};
  header_.phases = work_.phases;
  header_.steps = work_.steps;
  header_.events = events_.table();
  header_.detail = run_.detail;
  if (work_.evaluate_every > 0) header_.evaluations = (work_.steps + work_.evaluate_every - 1) / work_.evaluate_every;
  frame_.open();
  attendance_.under_way();
}

ExitCode Experiment::run() {
  prepare();
  progress_ = std::make_unique<ProgressLine>(world_.is_root(), work_.steps, work_.samples_per_step);
  train();
  progress_.reset();
  return conclude();
}

void Experiment::train() {
  Looks looks(stop_);
  for (index_t s = 0; s < work_.steps && !stop_.stopped(); ++s) {
    if (s == warmup_) {
      flush(s);
      env_.traffic().reset();
    }
    if (!step(s)) {
      flush(s);
      break;
    }
    const index_t done = s + 1;
    const bool last = done == work_.steps || looks.after_pass();  // after the last step there is nothing left to stop
    const bool evaluates = work_.evaluate_every > 0 && (done % work_.evaluate_every == 0 || done == work_.steps);
    const bool due = done > warmup_ && done >= next_flush_;
    if (due || evaluates || collector_.full() || events_.due(done) || last) flush(done);
    if (evaluates && !stop_.stopped()) evaluate(done);
  }
}

// Whether there is input; ranks that stop leave together.
bool Experiment::await(index_t s, Instruments& instruments) {
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
bool Experiment::step(index_t s) {
  attendance_.beat(s, s < warmup_ ? "warm-up" : "a step");
  timer_.begin_step(exec_);
  Instruments instruments{timer_, events_.log(), s < warmup_};
  if (!await(s, instruments)) {
    timer_.end_step(exec_);
    return false;
  }
  marks_.push_back(static_cast<std::int8_t>(flushed_));
  flushed_ = false;
  work_.step(s, collector_.output(), instruments);
  const metrics::StepTimes& times = timer_.end_step(exec_);
  last_step_s_ = seconds(times.end_ns - times.start_ns);
  collector_.add(times);
  return true;
}

void Experiment::flush(index_t done) {
  attendance_.beat(done, "a flush of the record");
  flushed_ = true;
  plan_next_flush(done);
  if (collector_.count() == 0) return;
  metrics::StepRows rows = collector_.flush(exec_, world_, work_.loss);
  EventCollector::Gathered events;
  const bool chosen = events_.chosen(rows.first_step, rows.count);
  if (chosen) events = events_.gather(world_);
  world_.on_root([&] {
    // Ahead of the steps: whoever sees that a chosen step was written finds its events.
    if (chosen) frame_.file().write_events(events.rows, events.dropped);
    rows.samples.assign(static_cast<std::size_t>(rows.count), work_.samples_per_step);
    for (index_t s = rows.first_step; s < rows.first_step + rows.count; ++s)
      rows.warmup.push_back(static_cast<std::int8_t>(s < warmup_));
    rows.flushed = marks_;
    series_.add(rows);
    frame_.file().write_steps(rows);
    losses_.insert(losses_.end(), rows.loss.begin(), rows.loss.end());
    progress_->update(done, losses_.back());
  });
  marks_.clear();
}

void Experiment::plan_next_flush(index_t done) {
  index_t every = run_.flush_every;
  if (every == 0)
    every = last_step_s_ > 0
                ? std::clamp<index_t>(std::llround(flush_interval_s / last_step_s_), shortest_window, longest_window)
                : 1;
  world_.broadcast(every);
  next_flush_ = done + every;
}

void Experiment::evaluate(index_t done) {
  Looks looks(stop_);
  metrics::EvaluationRow row = work_.evaluate([&] {
    attendance_.beat(done, "an evaluation");
    return looks.after_pass();
  });
  if (stop_.stopped()) return;
  row.step = done;
  results_.evaluation.push_back(row);
  world_.on_root([&] { frame_.file().write_evaluation(row); });
  progress_->evaluated(done, row.loss, row.accuracy);
}

// What could not be saved fails the run, once its record is whole.
std::exception_ptr Experiment::save() {
  try {
    const auto alive = [this] { attendance_.beat(work_.steps, "saving what the run leaves"); };
    alive();
    work_.save(alive);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

ExitCode Experiment::conclude() {
  attendance_.beat(work_.steps, "verification");
  const bool complete = !stop_.stopped();
  frame_.collect(series_.compute_s());
  if (work_.tables) results_.tables = work_.tables();
  const Verification verdict = complete ? work_.verify(results_, losses_)
                                        : Verification{.passed = false, .text = "not verified: " + stop_.reason()};

  const std::exception_ptr unsaved = complete && verdict.passed && work_.save ? save() : nullptr;

  attendance_.beat(work_.steps, "the end of the record");
  std::string note;
  world_.on_root([&] {
    results_.summary = summarise(series_, header_, results_, work_);
    const std::string path = frame_.finish(verdict, complete, complete ? "done" : stop_.reason());
    if (path != frame_.file().path())
      note = fmt::format("; the complete record {} is kept, this one is {}", frame_.file().path(), path);
    say(figure_of_merit(header_, results_, verdict, path) + "\n");
    if (complete && verdict.passed) require_said();
  });
  if (work_.save && !(complete && verdict.passed) && world_.is_root())
    say_aside("note: the run did not pass its verification: nothing was saved but its record\n");
  if (!complete) {
    if (world_.is_root()) say_aside(fmt::format("error: the run ended early: {}{}\n", stop_.reason(), note));
    return ExitCode::incomplete;
  }
  if (unsaved) std::rethrow_exception(unsaved);
  return verdict.passed ? ExitCode::done : ExitCode::check_failed;
}

}  // namespace

ExitCode run_experiment(Session& session, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec,
                        const Workload& work) {
  session.attendance().beat(0, "describing and calibrating the machine");
  require_record_size(session.env().world(), run, work);
  return Experiment(session, mesh, run, exec, work).run();
}

}  // namespace partita::driver
