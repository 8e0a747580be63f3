// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <concepts>
#include <string_view>

namespace partita {

/// A short text inside of what travels as bytes; what is too long is cut.
struct ShortText {
  char text[40] = "";

  ShortText() = default;
  template <std::convertible_to<std::string_view> Text>
  ShortText(const Text& from) {
    const std::string_view view(from);
    std::copy_n(view.begin(), std::min(view.size(), sizeof(text) - 1), text);
  }
  bool empty() const { return text[0] == '\0'; }
  bool operator==(const ShortText& other) const { return std::string_view(text) == other.text; }
};

}  // namespace partita
