// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <partita/config/toml_value.hpp>
#include <partita/core/error.hpp>
#include <partita/core/named.hpp>

namespace partita::config {

/// What a key means, for --help and for messages: `"gradient steps"`, `{"bucket size", "MiB"}`.
struct Doc {
  Doc(const char* help_, const char* unit_ = "") : help(help_), unit(unit_) {}
  Doc(std::string help_, std::string unit_ = "") : help(std::move(help_)), unit(std::move(unit_)) {}
  std::string help;
  std::string unit;
};

/// Integers that a key allows, both ends included.
struct IntRange {
  index_t min = std::numeric_limits<index_t>::min();
  index_t max = std::numeric_limits<index_t>::max();

  static constexpr IntRange at_least(index_t least) { return {least, std::numeric_limits<index_t>::max()}; }
  /// Of what kernels count with 32 bits: extents of tensors.
  static constexpr IntRange extent(index_t least = 1) { return {least, std::numeric_limits<std::int32_t>::max()}; }
  /// Of steps and samples, so many that sums and products of a few of them still fit.
  static constexpr IntRange count(index_t least = 0) { return {least, index_t{1} << 40}; }
  bool contains(index_t value) const { return min <= value && value <= max; }
  std::string text() const;  ///< " >= 1 and <= 24"
};

/// Real numbers that a key allows. nan never; inf only when max is infinite.
struct RealRange {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  bool min_open = false;  ///< min itself is excluded
  bool max_open = false;

  static constexpr RealRange at_least(double least) {
    return {least, std::numeric_limits<double>::max(), false, false};
  }
  static constexpr RealRange above(double bound) { return {bound, std::numeric_limits<double>::max(), true, false}; }
  bool contains(double value) const;
  std::string text() const;  ///< " > 0 and <= 1"
};

/// The settings of a run: a TOML text, then overrides, then defaults. A getter declares and reads a key in one place:
///
///     Deck deck = Deck::parse(text, "inputs/mlp_dp/tiny.toml", {"train.steps=20"}, "mlp_dp");
///     deck.integer("train.steps", options.steps, IntRange::at_least(1), "gradient steps");
///     deck.choice("parallel.allreduce", options.allreduce, allreduce_names, "how gradients are summed");
///     deck.finish();
///
/// A getter that is given an option binds the key to it: what the option holds is the default, and what the user gave
/// is put there. Others take a default, or none (nullopt): then the key must be given. All return the value. Asking
/// twice for the same key gives the same answer.
/// Throws   UsageError, one line: "<file>:<line>: <key>: given <what>: expected <what is allowed>", or "--set
///          <key>=<value>: ...". Error for a mistake of the program: the same key declared in two ways, or a key that
///          is also a table.
class Deck {
 public:
  /// text       A TOML document; empty for defaults alone.
  /// name       What messages call it: the path of the file.
  /// overrides  "key=value", the last one wins. The value is TOML, or a bare word for a string.
  /// app        Program to name in "`app --help` lists every key".
  static Deck parse(std::string_view text, std::string name, const std::vector<std::string>& overrides,
                    std::string app = "");

  /// A deck that only collects keys for help(): keys that must be given read as some allowed value.
  static Deck blank(std::string app);

  index_t integer(std::string_view key, std::optional<index_t> fallback, IntRange range, const Doc& doc);
  double real(std::string_view key, std::optional<double> fallback, RealRange range,
              const Doc& doc);  ///< integers are fine, too
  bool boolean(std::string_view key, std::optional<bool> fallback, const Doc& doc);
  std::string text(std::string_view key, std::optional<std::string> fallback, const Doc& doc);
  std::vector<index_t> integers(std::string_view key, std::optional<std::vector<index_t>> fallback, IntRange range,
                                const Doc& doc);
  std::vector<double> reals(std::string_view key, std::optional<std::vector<double>> fallback, RealRange range,
                            const Doc& doc);  ///< integers are fine, too
  std::string choice(std::string_view key, const std::string& fallback, const std::vector<std::string>& allowed,
                     const Doc& doc);

  index_t integer(std::string_view key, index_t& option, IntRange range, const Doc& doc) {
    return option = integer(key, std::optional(option), range, doc);
  }
  double real(std::string_view key, double& option, RealRange range, const Doc& doc) {
    return option = real(key, std::optional(option), range, doc);
  }
  bool boolean(std::string_view key, bool& option, const Doc& doc) {
    return option = boolean(key, std::optional(option), doc);
  }
  std::string text(std::string_view key, std::string& option, const Doc& doc) {
    return option = text(key, std::optional(option), doc);
  }
  std::vector<index_t> integers(std::string_view key, std::vector<index_t>& option, IntRange range, const Doc& doc) {
    return option = integers(key, std::optional(option), range, doc);
  }
  std::vector<double> reals(std::string_view key, std::vector<double>& option, RealRange range, const Doc& doc) {
    return option = reals(key, std::optional(option), range, doc);
  }
  template <class Enum>
  requires std::is_enum_v<Enum> Enum choice(std::string_view key, Enum& option,
                                            std::span<const Named<std::type_identity_t<Enum>>> names, const Doc& doc) {
    std::vector<std::string> words;
    for (const auto& [name, value] : names) words.emplace_back(name);
    const std::string chosen = choice(key, std::string(name_of(names, option)), words, doc);
    for (const auto& [name, value] : names)
      if (name == chosen) return option = value;
    throw Error("deck: " + std::string(key) + ": the default is none of the choices");
  }

  /// Whether the user gave this key, in the deck or as an override.
  bool given(std::string_view key) const;
  /// Whether its value is another than its default; false for one that was not read.
  bool changed(std::string_view key) const;

  /// For checks that involve more than one key: UsageError that points at this one.
  [[noreturn]] void reject(std::string_view key, const std::string& found, const std::string& expected) const;

  /// After all keys are read.
  /// Throws   UsageError for the first key that was given and that nobody asked for.
  void finish() const;

  /// TOML text with every key that was read, table by table: as a deck it reproduces this one.
  std::string resolved() const;

  /// 16 hex digits: FNV-1a of the resolved keys in alphabetical order, without output.path and checkpoint.path, which
  /// change no result.
  std::string config_hash() const;

  /// One line for every key that was read: key, what is allowed, default, meaning.
  std::string help() const;

 private:
  struct Declared {
    std::string key;
    std::string expected;  // "an integer >= 1, in steps"
    std::string fallback;  // TOML text; empty when the key must be given
    std::string value;     // TOML text
    Doc doc;
  };

  const Given* find(std::string_view key) const;
  /// What the user gave, or nullptr when the default applies; missing without default throws.
  const Given* look_up(std::string_view key, bool has_fallback, const std::string& expected) const;
  void declare(Declared declared);
  std::string place(std::string_view key) const;
  [[noreturn]] void complain(const Given& given, const std::string& expected) const;
  std::vector<std::string> declared_keys() const;
  bool is_table(std::string_view key) const;

  std::string name_;
  std::string app_;
  bool blank_ = false;
  std::vector<Given> given_;  // the deck in the order of its lines, then overrides; of equal keys the last one counts
  std::vector<Declared> declared_;
};

}  // namespace partita::config
