// SPDX-License-Identifier: BSD-3-Clause
#include "support.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace partita::fuzz {
namespace {

// Without surrogates and overlong forms: what a terminal and HDF5 take.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0U; };
    const unsigned first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : 9;
    if (more == 9 || (more == 1 && first < 0xc2)) return false;
    for (std::size_t k = 1; k <= more; ++k)
      if (byte(i + k) >> 6 != 2) return false;
    const unsigned second = byte(i + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f) || first > 0xf4)
      return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

std::uint8_t take(Bytes& input) {
  if (input.empty()) return 0;
  const std::uint8_t byte = input.front();
  input = input.subspan(1);
  return byte;
}

Bytes take_until_zero(Bytes& input) {
  const auto end = static_cast<std::size_t>(std::find(input.begin(), input.end(), 0) - input.begin());
  const Bytes part = input.first(end);
  input = input.subspan(std::min(end + 1, input.size()));
  return part;
}

MemoryFile::MemoryFile()
    : descriptor_(::memfd_create("partita-fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  if (descriptor_ < 0) report("no memory file");
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

void MemoryFile::set(Bytes content) {
  if (content.size() < size_) shorten(content.size());
  put(content, 0);
  size_ = content.size();
}

void MemoryFile::append(Bytes more) {
  put(more, size_);
  size_ += more.size();
}

void MemoryFile::shorten(std::size_t bytes) {
  size_ = std::min(bytes, size_);
  if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) report("a memory file cannot be cut");
}

void MemoryFile::put(Bytes content, std::size_t at) {
  if (!content.empty() && ::pwrite(descriptor_, content.data(), content.size(), static_cast<off_t>(at)) !=
                              static_cast<ssize_t>(content.size()))
    report("a memory file cannot be written");
}

void report(std::string_view what, std::string_view message) {
  std::fprintf(stderr, "FINDING: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(std::min<std::size_t>(message.size(), 4000)), message.data());
  std::abort();
}

void require_clear(std::string_view where, std::string_view message) {
  if (!message.starts_with(where)) report("a message that does not say where", message);
  if (message.size() > 1000) report("a message that is too long", message);
  if (std::any_of(message.begin(), message.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
    report("a message with characters that cannot be printed", message);
  if (!is_utf8(message)) report("a message that is no UTF-8", message);
}

}  // namespace partita::fuzz
