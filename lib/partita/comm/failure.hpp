// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <string>

#include <partita/core/error.hpp>

namespace partita::comm::detail {

/// What guard() and on_root() know of an exception: one line for the user and a code; done means no failure.
struct Failure {
  ExitCode code = ExitCode::done;
  std::string message;
  bool memory = false;  ///< ran out

  explicit operator bool() const { return code != ExitCode::done; }
};

/// Error keeps its code; memory that ran out is an unfit environment; everything else is a failed run.
/// Line breaks become spaces.
Failure describe(std::exception_ptr exception);

}  // namespace partita::comm::detail
