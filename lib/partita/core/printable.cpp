// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/printable.hpp>

namespace partita {

std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t k) { return at + k < text.size() ? static_cast<unsigned char>(text[at + k]) : 0U; };
  const unsigned first = byte(0), second = byte(1);
  if (at >= text.size()) return 0;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (std::size_t k = 1; k < length; ++k)
    if (byte(k) >> 6 != 2) return 0;
  // Neither in more bytes than it needs, nor half of a surrogate pair, nor beyond the last character.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90)) return 0;
  if ((first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string printable(std::string_view text, std::size_t longest) {
  std::string line;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    if (at + length > longest) return line + "...";
    const bool control = length == 1 && (static_cast<unsigned char>(text[at]) < ' ' || text[at] == '\x7f');
    if (length == 0 || control)
      line += '?';
    else
      line += text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  return line;
}

}  // namespace partita
