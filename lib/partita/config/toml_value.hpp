// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <partita/core/index.hpp>

// What a user gave, free of the TOML library: keys with their values, and where each came from.

namespace partita::config {

/// A value of the types that a deck reads; everything else (dates, mixed lists, empty tables) is
/// monostate.
struct Value {
  std::variant<std::monostate, bool, index_t, double, std::string, std::vector<index_t>, std::vector<double>> data;
  std::string shown;                ///< for messages: `the string "ring"`, `the integer 5`
  std::optional<std::string> bare;  ///< an override as typed, when nothing quoted or bracketed it
};

struct Given {
  std::string key;  ///< dotted: "train.steps"
  Value value;
  std::string origin;  ///< "inputs/mlp_dp/tiny.toml:14", or "--set train.batch=2"
  bool override_ = false;
  bool names_key = false;  ///< the origin already says which key is meant
  bool empty_table = false;
};

/// All keys of a TOML document in the order of their lines; those of the k-th table of a list [[t]] are t.k.key.
/// Throws   UsageError "<name>:<line>: <what>".
std::vector<Given> read_document(std::string_view text, const std::string& name);

/// The key of an override "key=value" (several for an inline table). The value is TOML; a bare word that is not is a
/// string.
/// Throws   UsageError "--set <text>: <what>".
std::vector<Given> read_override(const std::string& text);

/// TOML text that reads back as exactly this value.
std::string to_toml(bool value);
std::string to_toml(index_t value);
std::string to_toml(double value);
std::string to_toml(std::string_view value);
std::string to_toml(const std::vector<index_t>& value);
std::string to_toml(const std::vector<double>& value);

}  // namespace partita::config
