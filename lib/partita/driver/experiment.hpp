// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/mesh.hpp>
#include <partita/core/error.hpp>
#include <partita/driver/run_options.hpp>
#include <partita/driver/session.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/record.hpp>

namespace partita::driver {

/// The synchronous loop of the apps that train: describe the machine, calibrate, warm up, run, collect, verify, write.
///
/// Between flushes a step does nothing but its own work and two readings of the clock a phase. At a flush, agreed by
/// all ranks after warm-up, times, losses, gradient norms and events are gathered and written, the progress line is
/// renewed; the step after it is marked and counts in no statistic. Ranks look for signals and the time limit together,
/// between steps and within an evaluation, each half second or after each step, whichever is longer.
///
/// Writes   run.output through io::RecordFile, on rank 0.
/// Prints   the workload's description, progress and, as the last line, the figure of merit and the verdict (rank 0).
/// Returns  the exit code, the same on all ranks: done, check_failed, or incomplete (signal, time limit, no more
///          input).
/// Throws   UsageError for an output that cannot be written or for record.events that the run cannot give,
///          EnvironmentError when oversubscribed and that is an error. Error when the record is whole and what was
///          printed is not; what Workload::save throws, when the record is whole, too.
ExitCode run_experiment(Session& session, const comm::Mesh& mesh, const RunOptions& options, const Exec& exec,
                        const Workload& work);

}  // namespace partita::driver
