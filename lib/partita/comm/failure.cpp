// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/failure.hpp>

#include <algorithm>
#include <new>

namespace partita::comm::detail {

Failure describe(std::exception_ptr exception) {
  Failure failure{ExitCode::run_failed, ""};
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    failure = {error.code() == ExitCode::done ? ExitCode::run_failed : error.code(), error.what()};
  } catch (const std::bad_alloc& error) {
    failure = {ExitCode::unfit, std::string("out of memory: ") + error.what(), true};
  } catch (const std::exception& error) {
    failure.message = error.what();
    // Kokkos names space, size and View, but has no class for it: 4.7 throws runtime_error.
    if (failure.message.find("failed to allocate") != std::string::npos)
      failure = {ExitCode::unfit, "out of memory: " + failure.message, true};
  } catch (...) {
    failure.message = "an exception that is no std::exception";
  }
  std::replace(failure.message.begin(), failure.message.end(), '\n', ' ');
  return failure;
}

}  // namespace partita::comm::detail
