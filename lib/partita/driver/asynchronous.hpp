// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <partita/comm/mesh.hpp>
#include <partita/core/error.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/session.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

class Looks;
class TrainingRun;

/// What a rank has of its run while it goes its own way. No call here communicates: ranks tell each other what they
/// need to know, and rank 0 hands on what it was told.
class AsynchronousRun {
 public:
  AsynchronousRun(TrainingRun& run, const RunOptions& options);

  // Every rank.

  /// A sign of life, at least some times in run.hang_timeout_s, also while the rank waits for messages; `doing` names
  /// what comes next (a literal).
  void beat(index_t step, const char* doing);
  /// This rank's warm-up is over: what it sends counts from now on. Once, at its own time.
  void warm_up_over();
  /// For events of chosen steps; they are in the record when the run has ended.
  metrics::EventLog& events();
  /// The first step that counts in statistics.
  index_t first_counted() const;
  /// Whether no more steps shall be made: a signal came to this rank, run.time_limit_s is over, or stop() was called.
  /// Once true, always. To be asked as often as one likes (costs a look at the clock), and told to the others: the run
  /// ends where rank 0's rows do.
  bool should_stop();

  // Rank 0 alone.

  /// Steps that are over, of all ranks, in order. `flushed` and `warmup` are filled in here; norms that are known later
  /// may be NaN (AfterLoop::grad_norms). A rank that had no part in a step has start_ns = end_ns and no seconds there.
  /// Writes all that was added to the record about once a second, or each record.flush_every steps: the step after
  /// that is marked. Nothing else allocates.
  /// Throws   ShapeError for rows that do not follow, or do not fit.
  void add(const metrics::StepRows& rows);
  /// Steps that are done: those added, and those before a run that goes on.
  index_t added() const { return written_ + pending_.count; }
  /// Workload::checkpoint after so many steps, which were added.
  void checkpoint(index_t done);
  /// The run ends early for a reason of its own.
  void stop(const std::string& why);
  const std::string& stop_reason() const { return reason_; }
  /// Writes what was added. When the loop has ended the driver does so.
  void flush();

 private:
  TrainingRun& run_;
  const RunOptions& options_;
  metrics::StepRows pending_;
  index_t written_;
  std::int64_t flushed_ns_;
  bool flushed_ = false;  // just before the step that comes next
  std::string reason_;
};

/// The ranks meet again.
class AfterLoop {
 public:
  AfterLoop(TrainingRun& run, Looks& looks) : run_(run), looks_(looks) {}

  /// Whether the ranks leave now, too: at once where the run ended early. Asked by all ranks alike, between the parts
  /// of an evaluation. Collective, now and then.
  bool stop();
  /// Workload::checkpoint, by rank 0, after so many steps. Collective.
  void checkpoint(index_t done);
  /// An evaluation, `step` filled in, the same on all ranks. Collective.
  void evaluated(const metrics::EvaluationRow& row);
  /// Gradient norms of the first norms.size() steps, in place of those that were added. Rank 0's count.
  void grad_norms(std::span<const double> norms);

 private:
  TrainingRun& run_;
  Looks& looks_;
};

/// The loop of a run whose ranks have roles.
struct AsynchronousLoop {
  /// Called once on each rank; returns when the rank has nothing more to do, which may be long before or after the
  /// others, and only when they need nothing more of it.
  std::function<void(AsynchronousRun& run)> run;
  /// Called by all ranks together when all have returned, also of a run that ended early; null: nothing.
  std::function<void(AfterLoop& after)> after = {};
};

/// A run whose ranks go their own ways: nothing is collective between the begin of the record and the end of the loop.
/// Ranks that are done wait without a core's time, and beat. A step is what rank 0 says it is, such as an update of a
/// server. Everything else, what it writes, prints, returns and throws, is as in run_experiment.
///
/// Stops    Signals and the time limit are seen in should_stop(), on any rank; the loop brings them to the others. From
///          the end of the loop on the ranks look together. A run with fewer than work.steps steps ended early.
ExitCode run_asynchronous(Session& session, const comm::Mesh& mesh, const RunOptions& options, const Exec& exec,
                          const Workload& work, const AsynchronousLoop& loop);

}  // namespace partita::driver
