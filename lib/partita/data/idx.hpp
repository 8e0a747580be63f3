// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::data {

/// An array of unsigned bytes as the MNIST family stores it; row-major, shape[0] slowest.
struct IdxArray {
  std::vector<index_t> shape;
  std::vector<std::uint8_t> bytes;
};

/// Reads an IDX file, plain or gzip (told apart by content, not by name).
///
/// Throws   UsageError "<path>: <what is wrong>: expected ..." when it cannot be read, is no IDX file of unsigned bytes
///          with 1 to 4 dimensions, holds fewer or more bytes than its header promises, or is a damaged or truncated
///          gzip stream.
/// Cost     memory grows with what is read, never with what the header promises.
/// Source   format: LeCun, Cortes and Burges, "The MNIST database", section "File formats".
IdxArray read_idx(const std::string& path);

/// What is expected where files are missing or damaged: those of a data set, and where to get one.
std::string data_remedy();

/// Throws   UsageError "<path>: <what>: expected <data_remedy>".
[[noreturn]] void refuse_file(const std::string& path, const std::string& what);

}  // namespace partita::data
