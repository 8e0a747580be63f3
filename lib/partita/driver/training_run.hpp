// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <memory>
#include <vector>

#include <partita/comm/mesh.hpp>
#include <partita/core/error.hpp>
#include <partita/driver/event_collector.hpp>
#include <partita/driver/progress_line.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/run_record.hpp>
#include <partita/driver/session.hpp>
#include <partita/driver/stop_agreement.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/record.hpp>
#include <partita/metrics/step_series.hpp>

namespace partita::driver {

inline constexpr index_t longest_window = 1024;  ///< most steps kept in memory between two writes
inline constexpr double flush_interval_s = 1;    ///< between two writes, unless record.flush_every says otherwise

/// What all runs of steps share, whatever their loop: how they begin, where rows of steps, events and evaluations go,
/// and how they end.
class TrainingRun {
 public:
  /// Describes run and machine, calibrates; begins the record and the progress line. Collective.
  /// Throws   UsageError for an output that cannot be written, for a record that takes too much room, and for
  ///          record.events, drills and checks of replicas that the run cannot give; EnvironmentError when
  ///          oversubscribed and that is an error.
  TrainingRun(Session& session, const comm::Mesh& mesh, const RunOptions& run, const Exec& exec, const Workload& work);

  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  comm::Environment& env() { return env_; }
  const comm::Communicator& world() const { return env_.world(); }
  Attendance& attendance() { return attendance_; }
  StopAgreement& stop() { return stop_; }
  EventCollector& events() { return events_; }
  const Workload& work() const { return work_; }
  /// The drills of this rank.
  FaultDrill& faults() { return faults_; }
  /// The first step that counts in statistics.
  index_t first_counted() const { return work_.first_step + warmup_; }

  /// The steps that come next, whole but for `warmup`, into record, statistics and progress line. On rank 0.
  void write(metrics::StepRows rows);
  /// Gradient norms of the steps from the first on, in place of those written. On rank 0.
  void write_grad_norms(std::span<const double> norms);
  /// What EventCollector::gather brought, ahead of the steps that the events are of. On rank 0.
  void write(const EventCollector::Gathered& events);
  /// One more evaluation, the same on all ranks. Collective.
  void evaluated(const metrics::EvaluationRow& row);
  /// Ends the run: its numbers are of no use (exit 3). The ranks agree on it.
  void fail(const std::string& reason) {
    failed_ = true;
    stop_.stop(reason);
  }
  bool failed() const { return failed_; }
  /// Saves what is needed to go on after so many steps; what it costs is in the record. Collective, or rank 0 alone
  /// (Workload::checkpoint).
  void checkpoint(index_t done);
  void checkpoint_alone(index_t done);

  /// The end, once there will be no more rows: traffic, tables, verdict, what the app saves, summary, the last line.
  /// Collective. Returns the exit code, the same on all ranks.
  /// Throws   Error when the record is whole and what was printed is not; what Workload::save throws, when the record
  ///          is whole, too.
  ExitCode conclude();

 private:
  struct Checkpoint {
    index_t step, bytes;
    double seconds;
  };

  Checkpoint timed_checkpoint(index_t done);
  std::exception_ptr save();
  void count_checkpoints();
  std::string finish(const Verification& verdict, bool complete);

  comm::Environment& env_;
  Attendance& attendance_;
  const Workload& work_;
  index_t warmup_;
  EventCollector events_;
  FaultDrill faults_;
  metrics::StepSeries series_;
  std::vector<double> losses_;           // rank 0: of every step so far
  std::vector<Checkpoint> checkpoints_;  // rank 0
  std::int64_t begin_ns_;
  bool failed_ = false;
  RunRecord frame_;
  StopAgreement stop_;
  std::unique_ptr<ProgressLine> progress_;
};

}  // namespace partita::driver
