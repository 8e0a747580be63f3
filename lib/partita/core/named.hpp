// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

namespace partita {

/// The word for a value of an enum. A table of these is all that decks, messages and records know of its words:
///
///     inline constexpr Named<Precision> precisions[] = {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}};
template <class Enum>
struct Named {
  std::string_view name;
  Enum value;
};

/// "?" for a value that the table lacks.
template <class Table, class Enum>
constexpr std::string_view name_of(const Table& table, Enum value) {
  for (const Named<Enum>& each : table)
    if (each.value == value) return each.name;
  return "?";
}

/// The table of an enum that knows its words: name(value), found by its namespace.
template <class Enum>
std::vector<Named<Enum>> named(std::initializer_list<Enum> values) {
  std::vector<Named<Enum>> table;
  for (const Enum value : values) table.push_back({name(value), value});
  return table;
}

}  // namespace partita
