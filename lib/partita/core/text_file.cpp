// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/text_file.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include <partita/core/error.hpp>

namespace partita {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

std::string read_text_file(const std::string& path, const std::string& expected, std::size_t most) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) refuse<UsageError>(path, "it is a folder", expected);
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse<UsageError>(path, std::string("it cannot be read: ") + std::strerror(errno), expected);
  std::string text;
  std::array<char, 1 << 14> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    text.append(piece.data(), got);
    if (text.size() > most) refuse<UsageError>(path, "it goes on after " + std::to_string(most) + " bytes", expected);
  }
  if (std::ferror(file.get()))
    refuse<UsageError>(path, std::string("it cannot be read: ") + std::strerror(errno), expected);
  return text;
}

}  // namespace partita
