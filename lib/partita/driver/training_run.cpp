// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/training_run.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/driver/figure_of_merit.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/io/record_layout.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::driver {
namespace {

constexpr double most_record_bytes = 2.0 * 1024 * 1024 * 1024;

// A record has room for all steps from the start: too many are refused before anything is made for them.
void require_record_size(const comm::Communicator& world, const RunOptions& run, const Workload& work) {
  metrics::RunHeader header;
  header.ranks.resize(static_cast<std::size_t>(world.size()));
  header.phases = work.phases;
  const auto bytes = [&](metrics::Detail detail) {
    header.detail = detail;
    return io::step_bytes(header) * static_cast<double>(work.steps - work.first_step);
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

EventCollector collector_of(Session& session, const RunOptions& run, const Workload& work) {
  const comm::Communicator& world = session.env().world();
  session.attendance().beat(0, "describing and calibrating the machine");
  require_record_size(world, run, work);
  if (run.check_replicas_every > 0 && !work.replicas)
    refuse<UsageError>("run.check_replicas_every", "ranks of this run hold no copies of each other's weights", "0");
  return EventCollector(world, run, work);
}

}  // namespace

TrainingRun::TrainingRun(Session& session, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec,
                         const Workload& work)
    : env_(session.env()),
      attendance_(session.attendance()),
      work_(work),
      warmup_(std::min(run.warmup, work.steps - work.first_step - 1)),
      events_(collector_of(session, run, work)),
      faults_(run.faults, env_.rank(), work.steps, work.phases,
              env_.world().allgather(static_cast<std::int8_t>(work.reads_numbers)), work.corrupt),
      series_(work.phases, env_.size()),
      losses_(work.earlier_losses),
      frame_(env_, mesh, run, exec, "scaling", work.role, work.description),
      stop_(env_.world(), attendance_) {
  metrics::RunHeader& header = frame_.header();
  for (const auto& [name, value] : work.attributes) header.attributes[name] = value;
  header.attributes["strategy"] = work.strategy;
  header.attributes["flop_per_step"] = work.flop_per_step;
  header.attributes["samples_per_step"] = std::int64_t{work.samples_per_step};
  header.attributes["warmup_steps"] = std::int64_t{warmup_};
  header.phases = work.phases;
  std::string faults;
  for (const Fault& fault : run.faults) faults += (faults.empty() ? "" : "; ") + fault.text();
  if (!faults.empty()) header.attributes["faults"] = faults;
  header.steps = work.steps - work.first_step;
  header.first_step = work.first_step;
  if (work.first_step > 0) header.attributes["first_step"] = std::int64_t{work.first_step};
  header.events = events_.table();
  header.detail = run.detail;
  if (work.evaluate_every > 0) header.evaluations = (work.steps + work.evaluate_every - 1) / work.evaluate_every;
  frame_.open();
  attendance_.under_way();
  progress_ = std::make_unique<ProgressLine>(world().is_root(), work.first_step, work.steps, work.samples_per_step);
  begin_ns_ = now_ns();
  if (!world().is_root()) return;
  attendance_.mark_with([this](const std::string& reason) { frame_.file().mark(reason); });
}

TrainingRun::~TrainingRun() { attendance_.mark_with({}); }

void TrainingRun::write(metrics::StepRows rows) {
  for (index_t s = rows.first_step; s < rows.first_step + rows.count; ++s)
    rows.warmup.push_back(static_cast<std::int8_t>(s < first_counted()));
  series_.add(rows);
  const index_t done = rows.first_step + rows.count;
  rows.first_step -= work_.first_step;
  {
    const auto lock = attendance_.writing();
    frame_.file().write_steps(rows);
  }
  losses_.insert(losses_.end(), rows.loss.begin(), rows.loss.end());
  progress_->update(done, losses_.back());
}

void TrainingRun::evaluated(const metrics::EvaluationRow& row) {
  frame_.results().evaluation.push_back(row);
  world().on_root([&] {
    const auto lock = attendance_.writing();
    frame_.file().write_evaluation(row);
  });
  progress_->evaluated(row.step, row.loss, row.accuracy);
}

TrainingRun::Checkpoint TrainingRun::timed_checkpoint(index_t done) {
  attendance_.beat(done, "a checkpoint");
  const std::int64_t begin = now_ns();
  const index_t bytes = work_.checkpoint(done, losses_, [this] { return attendance_.writing(); });
  return {done, bytes, seconds(now_ns() - begin)};
}

void TrainingRun::checkpoint(index_t done) {
  Checkpoint made = timed_checkpoint(done);
  made.seconds = world().allreduce(made.seconds, comm::Op::max);
  checkpoints_.push_back(made);
}

void TrainingRun::checkpoint_alone(index_t done) { checkpoints_.push_back(timed_checkpoint(done)); }

// What they cost: /checkpoints, and the share of the run's time in /summary.
void TrainingRun::count_checkpoints() {
  if (checkpoints_.empty()) return;
  std::vector<std::int64_t> steps, bytes;
  std::vector<double> seconds;
  for (const Checkpoint& each : checkpoints_) {
    steps.push_back(each.step);
    bytes.push_back(each.bytes);
    seconds.push_back(each.seconds);
  }
  metrics::RunResults& results = frame_.results();
  const auto n = std::ssize(checkpoints_);
  results.tables.push_back(
      {.group = "/checkpoints",
       .scales = {metrics::index_scale("checkpoint", n, "checkpoints, in order")},
       .columns = {{"step", {"checkpoint"}, steps, {{"long_name", "training steps done before"}, {"units", "1"}}},
                   {"seconds", {"checkpoint"}, seconds, {{"long_name", "from its begin to its end"}, {"units", "s"}}},
                   {"bytes", {"checkpoint"}, bytes, {{"long_name", "size of the file"}, {"units", "byte"}}}}});
  const double all_s = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  const auto row = [&](const char* metric, double value, const char* kind, const char* unit) {
    results.summary.push_back(
        {.metric = metric, .value = value, .n = n, .kind = kind, .scope = "within run", .unit = unit});
  };
  row("checkpoint_s", metrics::median(seconds), "cost", "s");
  row("checkpoint_share", all_s / partita::seconds(now_ns() - begin_ns_), "ratio", "1");
}

// What could not be saved fails the run, once its record is whole.
std::exception_ptr TrainingRun::save() {
  try {
    const auto alive = [this] { attendance_.beat(work_.steps, "saving what the run leaves"); };
    alive();
    work_.save(alive);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

std::string TrainingRun::finish(const Verification& verdict, bool complete) {
  attendance_.mark_with({});  // what is done needs no mark
  const auto lock = attendance_.writing();
  return frame_.finish(verdict, complete, complete ? "done" : stop_.reason());
}

void TrainingRun::write_grad_norms(std::span<const double> norms) {
  const auto lock = attendance_.writing();
  frame_.file().write_grad_norms(norms);
}

void TrainingRun::write(const EventCollector::Gathered& events) {
  const auto lock = attendance_.writing();
  frame_.file().write_events(events.rows, events.dropped);
}

ExitCode TrainingRun::conclude() {
  progress_.reset();
  attendance_.beat(work_.steps, "verification");
  metrics::RunHeader& header = frame_.header();
  metrics::RunResults& results = frame_.results();
  const bool complete = !stop_.stopped();
  frame_.collect(series_.compute_s());
  if (work_.tables) results.tables = work_.tables();
  const Verification verdict =
      complete ? work_.verify(results, losses_)
               : Verification{.passed = false, .text = (failed_ ? "" : "not verified: ") + stop_.reason()};

  const std::exception_ptr unsaved = complete && verdict.passed && work_.save ? save() : nullptr;

  attendance_.beat(work_.steps, "the end of the record");
  std::string note;
  world().on_root([&] {
    results.summary = summarise(series_, header, results, work_);
    count_checkpoints();
    const std::string path = finish(verdict, complete);
    if (path != frame_.file().path())
      note = fmt::format("; the complete record {} is kept, this one is {}", frame_.file().path(), path);
    say(figure_of_merit(header, results, verdict, path) + "\n");
    if (complete && verdict.passed) require_said();
  });
  if (work_.save && !(complete && verdict.passed) && world().is_root())
    say_aside("note: the run did not pass its verification: nothing was saved but its record\n");
  if (failed_) return ExitCode::check_failed;
  if (!complete) {
    if (world().is_root()) say_aside(fmt::format("error: the run ended early: {}{}\n", stop_.reason(), note));
    return ExitCode::incomplete;
  }
  if (unsaved) std::rethrow_exception(unsaved);
  return verdict.passed ? ExitCode::done : ExitCode::check_failed;
}

}  // namespace partita::driver
