// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/deep_keys.hpp>

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

void refuse_deep_keys(std::string_view text, const std::string& where) {
  int parts = 1;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = end_of_string(text, i);
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    const bool ends = std::string_view("\n=,[]{}").find(c) != std::string_view::npos;
    parts = ends ? 1 : parts + (c == '.' ? 1 : 0);
    if (parts > most_parts)
      refuse<UsageError>(where + ":" + std::to_string(1 + std::count(text.begin(), text.begin() + i, '\n')),
                         "a key of more than " + std::to_string(most_parts) + " parts", "fewer");
    ++i;
  }
}

}  // namespace partita::config
