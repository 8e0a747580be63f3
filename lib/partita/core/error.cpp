// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>

namespace partita {

void rethrow_as(ExitCode code, const std::string& message) {
  switch (code) {
    case ExitCode::usage:
      throw UsageError(message);
    case ExitCode::check_failed:
      throw CheckError(message);
    case ExitCode::unfit:
      throw EnvironmentError(message);
    case ExitCode::incomplete:
      throw IncompleteError(message);
    case ExitCode::done:  // nobody throws success; should it come here, it is an error all the same
    case ExitCode::run_failed:
      break;
  }
  throw Error(message);
}

}  // namespace partita
