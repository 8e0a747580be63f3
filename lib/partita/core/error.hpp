// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace partita {

/// What the process returns. Ranks agree on one code before they leave (comm::Environment::guard).
enum class ExitCode : int {
  done = 0,          ///< all is well
  run_failed = 1,    ///< an error that no other code describes
  usage = 2,         ///< command line, deck or input files
  check_failed = 3,  ///< the run ended, and a check of its results failed
  unfit = 4,         ///< the environment cannot run this: threads, devices, memory, libraries
  incomplete = 5     ///< signal, time limit or hang: the result is a part
};

/// Base of all errors thrown by Partita: one line for the user, and the exit code that goes with it.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitCode code = ExitCode::run_failed)
      : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// Operands whose extents do not fit: a mistake of the caller, so the run failed.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(message, ExitCode::run_failed) {}
};

/// Something that the user gave: a flag, a key, a file.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(message, ExitCode::usage) {}
};

/// A result that is not what it must be.
class CheckError : public Error {
 public:
  explicit CheckError(const std::string& message) : Error(message, ExitCode::check_failed) {}
};

/// A machine, library or launch that cannot run this.
class EnvironmentError : public Error {
 public:
  explicit EnvironmentError(const std::string& message) : Error(message, ExitCode::unfit) {}
};

/// A run that was ended from outside before its result was whole.
class IncompleteError : public Error {
 public:
  explicit IncompleteError(const std::string& message) : Error(message, ExitCode::incomplete) {}
};

/// Throws E with "<where>: <found>: expected <expected>", the grammar of all errors about what was given: `where` is
/// the function, unit or place (file:line: key) that refuses, `found` names each operand with its extent or value
/// ("x has 3 columns, W has 4"), `expected` what is allowed.
template <class E>
[[noreturn]] void refuse(std::string_view where, std::string_view found, std::string_view expected) {
  throw E(std::string(where).append(": ").append(found).append(": expected ").append(expected));
}

/// Throws the class that belongs to a code: how ranks share the exception of one of them. run_failed throws Error.
[[noreturn]] void rethrow_as(ExitCode code, const std::string& message);

}  // namespace partita
