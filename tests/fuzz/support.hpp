// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>

#include <partita/core/error.hpp>

// What the targets of the fuzzers share: a file that lies in memory, numbers out of the input, and what an error must
// look like.

namespace partita::fuzz {

using Bytes = std::span<const std::uint8_t>;

inline std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The next byte, which goes; 0 at the end.
std::uint8_t take(Bytes& input);
/// The bytes before the next zero, which goes, too.
Bytes take_until_zero(Bytes& input);

/// A file without a disk, with a path.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }
  void set(Bytes content);
  void append(Bytes more);
  void shorten(std::size_t bytes);

 private:
  void put(Bytes content, std::size_t at);

  int descriptor_;
  std::string path_;
  std::size_t size_ = 0;
};

/// Says what and ends the process as a crash does.
[[noreturn]] void report(std::string_view what, std::string_view message = "");

/// Reports a message that is no clear one: it begins with `where`, is one line of at most 1,000 bytes, and is UTF-8.
void require_clear(std::string_view where, std::string_view message);

/// Whether f returns. It may throw an Error whose message is clear, and nothing else.
template <class F>
bool accepted(std::string_view where, F f) {
  try {
    f();
    return true;
  } catch (const Error& error) {
    require_clear(where, error.what());
  } catch (const std::exception& error) {
    report("an exception that is no Error", error.what());
  }
  return false;
}

// The targets. Each takes any bytes, and returns unless there is a finding.

void calibration(Bytes input);
void checkpoint(Bytes input);
void deck(Bytes input);
void idx(Bytes input);
void keys(Bytes input);
void record(Bytes input);
void safetensors(Bytes input);
void schedule(Bytes input);
void text(Bytes input);
void trace(Bytes input);

}  // namespace partita::fuzz
