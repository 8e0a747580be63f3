// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>

namespace partita {

/// More than any file that is read as a whole and that a person wrote, or a program for one.
inline constexpr std::size_t most_text_file_bytes = std::size_t{64} << 20;

/// The bytes of a file, which may be a pipe.
///
/// Throws   UsageError "<path>: <why not>: expected <expected>": a folder, not to be read, more than `most` bytes (a
///          device has no end).
std::string read_text_file(const std::string& path, const std::string& expected,
                           std::size_t most = most_text_file_bytes);

}  // namespace partita
