// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/toml_guard.hpp>

#include <algorithm>

#include <partita/core/error.hpp>

namespace partita::config {
namespace {

constexpr int most_parts = 32;

// Behind the string that begins at text[at] with a quote, or three; of one that does not end, behind its line or text.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool basic = quote == '"', lines = text.substr(at, 3) == std::string(3, quote);
  const std::string_view mark = text.substr(at, lines ? 3 : 1);
  for (std::size_t i = at + mark.size(); i < text.size(); ++i) {
    if (text.substr(i, mark.size()) == mark) return i + mark.size();
    if (text[i] == '\n' && !lines) return i;
    if (text[i] == '\\' && basic) ++i;
  }
  return text.size();
}

}  // namespace

void guard_toml(std::string_view text, const std::string& where) {
  const auto place = [&](std::size_t i) {
    return where + ":" +
           std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n'));
  };
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  int parts = 1;
  for (std::size_t i = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = end_of_string(text, i);
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (static_cast<unsigned char>(c) > 0x7f)
      refuse<UsageError>(place(i), "not TOML: a character beyond ASCII", "it in strings and comments alone");
    const bool ends = std::string_view("\n=,[]{}").find(c) != std::string_view::npos;
    parts = ends ? 1 : parts + (c == '.' ? 1 : 0);
    if (parts > most_parts)
      refuse<UsageError>(place(i), "a key of more than " + std::to_string(most_parts) + " parts", "fewer");
    ++i;
  }
}

}  // namespace partita::config
