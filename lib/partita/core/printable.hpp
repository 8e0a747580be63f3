// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace partita {

/// What somebody gave, which may be anything, as a message quotes it: one line of UTF-8, at most `longest` bytes of it
/// and then "...". What is no character, or none that can be printed, is a '?'.
std::string printable(std::string_view text, std::size_t longest = 80);

/// Bytes of the character that begins at text[at]; 0 where none of UTF-8 does.
std::size_t utf8_length(std::string_view text, std::size_t at);

bool is_utf8(std::string_view text);

}  // namespace partita
