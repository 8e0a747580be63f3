// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <mpi.h>

#include <partita/comm/failure.hpp>

namespace partita::comm::detail {

/// What all ranks return, and who says why.
struct Verdict {
  ExitCode code = ExitCode::done;
  int speaker = -1;    ///< lowest rank that threw; without any, lowest rank that returned a code
  bool alike = false;  ///< every rank failed with the same code and message
};

/// How long a rank that failed waits for the others before it ends the job. Failures that ranks find together (a deck,
/// a check, the machine) may take long to reach everybody; others, memory that runs out among them, are one rank's own.
std::int64_t grace_ns(const Failure& failure);

/// Agrees with all ranks of handle on one verdict, without ever hanging for a rank that failed.
///
/// A rank that is done waits for the others. A rank that failed waits grace_ns: then some rank is stuck in a call that
/// the failed rank will never join, and this prints the failure and calls MPI_Abort(code). When several ranks failed
/// and others are stuck, the lowest speaks: a rank tells the higher ones after a quarter of its grace time, and they
/// give it time to end the job.
Verdict agree(MPI_Comm handle, const Failure& mine);

/// The one line: `error: message`, with `(rank r)` when rank is not negative. Flushes standard output first.
void print_failure(const std::string& message, int rank);

/// Prints the failure as that of this rank, and ends all ranks with its code.
[[noreturn]] void end_job(const Failure& mine, int rank);

}  // namespace partita::comm::detail
