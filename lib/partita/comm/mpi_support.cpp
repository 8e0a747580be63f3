// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/mpi_support.hpp>

#include <string>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::comm::detail {

void check(int code, const char* call, std::string_view axis) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(axis.empty() ? fmt::format("{}: {}", call, text) : fmt::format("{} on axis {}: {}", call, axis, text));
}

int mpi_count(index_t count, const char* call) {
  if (count > max_count)
    refuse<Error>(call, fmt::format("{} elements in one message", count),
                  fmt::format("at most {}: more ranks, or the ring, which sends in chunks", max_count));
  return static_cast<int>(count);
}

}  // namespace partita::comm::detail
