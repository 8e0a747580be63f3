// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/deck.hpp>

#include <algorithm>
#include <cstdio>

#include <partita/config/command_line.hpp>
#include <partita/config/suggestion.hpp>
#include <partita/core/printable.hpp>

namespace partita::config {
namespace {

std::string number(double value) {
  std::string text = to_toml(value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string bounds(const std::string& lower, const std::string& upper) {
  return lower + (lower.empty() || upper.empty() ? "" : " and") + upper;
}

std::string with_unit(const std::string& expected, const Doc& doc) {
  return doc.unit.empty() ? expected : expected + ", in " + doc.unit;
}

std::string_view table_of(std::string_view key) {
  const auto dot = key.rfind('.');
  return dot == key.npos ? std::string_view() : key.substr(0, dot);
}

std::string_view name_of(std::string_view key) { return key.substr(key.rfind('.') + 1); }  // npos + 1 is 0

bool is_below(std::string_view key, std::string_view table) {
  return key.size() > table.size() && key[table.size()] == '.' && key.starts_with(table);
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

}  // namespace

std::string IntRange::text() const {
  return bounds(min == std::numeric_limits<index_t>::min() ? "" : " >= " + std::to_string(min),
                max == std::numeric_limits<index_t>::max() ? "" : " <= " + std::to_string(max));
}

bool RealRange::contains(double value) const {
  return (min_open ? min < value : min <= value) && (max_open ? value < max : value <= max);  // false for nan
}

std::string RealRange::text() const {
  return bounds(min == std::numeric_limits<double>::lowest() ? "" : (min_open ? " > " : " >= ") + number(min),
                max >= std::numeric_limits<double>::max() ? "" : (max_open ? " < " : " <= ") + number(max));
}

Deck Deck::parse(std::string_view text, std::string name, const std::vector<std::string>& overrides, std::string app) {
  Deck deck;
  deck.app_ = std::move(app);
  deck.given_ = read_document(text, name);
  deck.name_ = std::move(name);
  for (const std::string& override_text : overrides) {
    for (Given& given : read_override(override_text)) {
      std::erase_if(deck.given_, [&](const Given& earlier) { return earlier.key == given.key; });
      deck.given_.push_back(std::move(given));
    }
  }
  return deck;
}

Deck Deck::blank(std::string app) {
  Deck deck;
  deck.app_ = std::move(app);
  deck.blank_ = true;
  return deck;
}

index_t Deck::integer(std::string_view key, std::optional<index_t> fallback, IntRange range, const Doc& doc) {
  const std::string expected = with_unit("an integer" + range.text(), doc);
  const Given* user = look_up(key, fallback.has_value(), expected);
  index_t value = fallback.value_or(std::clamp<index_t>(0, range.min, range.max));
  if (user) {
    const auto* integer = std::get_if<index_t>(&user->value.data);
    if (!integer || !range.contains(*integer)) complain(*user, expected);
    value = *integer;
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

double Deck::real(std::string_view key, std::optional<double> fallback, RealRange range, const Doc& doc) {
  const std::string expected = with_unit("a real number" + range.text(), doc);
  const Given* user = look_up(key, fallback.has_value(), expected);
  double value = fallback.value_or(range.contains(1.0) ? 1.0 : range.max);
  if (user) {
    const auto* real = std::get_if<double>(&user->value.data);
    const auto* integer = std::get_if<index_t>(&user->value.data);
    if (!real && !integer) complain(*user, expected);
    value = real ? *real : static_cast<double>(*integer);
    if (!range.contains(value)) complain(*user, expected);
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

bool Deck::boolean(std::string_view key, std::optional<bool> fallback, const Doc& doc) {
  const std::string expected = "true or false";
  const Given* user = look_up(key, fallback.has_value(), expected);
  bool value = fallback.value_or(false);
  if (user) {
    const auto* boolean = std::get_if<bool>(&user->value.data);
    if (!boolean) complain(*user, expected);
    value = *boolean;
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

std::string Deck::text(std::string_view key, std::optional<std::string> fallback, const Doc& doc) {
  const std::string expected = "a string";
  const Given* user = look_up(key, fallback.has_value(), expected);
  std::string value = fallback.value_or("");
  if (user) {
    // On the command line `output.path=7` means the text: nobody quotes there.
    const auto* text = user->value.bare ? &*user->value.bare : std::get_if<std::string>(&user->value.data);
    if (!text) complain(*user, expected);
    value = *text;
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

std::vector<index_t> Deck::integers(std::string_view key, std::optional<std::vector<index_t>> fallback, IntRange range,
                                    const Doc& doc) {
  const std::string expected = with_unit("a list of integers" + range.text(), doc);
  const Given* user = look_up(key, fallback.has_value(), expected);
  std::vector<index_t> value = fallback.value_or(std::vector<index_t>{});
  if (user) {
    const auto* list = std::get_if<std::vector<index_t>>(&user->value.data);
    if (!list || !std::ranges::all_of(*list, [&](index_t element) { return range.contains(element); }))
      complain(*user, expected);
    value = *list;
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

std::vector<double> Deck::reals(std::string_view key, std::optional<std::vector<double>> fallback, RealRange range,
                                const Doc& doc) {
  const std::string expected = with_unit("a list of numbers" + range.text(), doc);
  const Given* user = look_up(key, fallback.has_value(), expected);
  std::vector<double> value = fallback.value_or(std::vector<double>{});
  if (user) {
    if (const auto* integers = std::get_if<std::vector<index_t>>(&user->value.data))
      value.assign(integers->begin(), integers->end());
    else if (const auto* list = std::get_if<std::vector<double>>(&user->value.data))
      value = *list;
    else
      complain(*user, expected);
    if (!std::ranges::all_of(value, [&](double element) { return range.contains(element); })) complain(*user, expected);
  }
  declare({std::string(key), expected, fallback ? to_toml(*fallback) : "", to_toml(value), doc});
  return value;
}

std::string Deck::choice(std::string_view key, const std::string& fallback, const std::vector<std::string>& allowed,
                         const Doc& doc) {
  std::string expected;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    expected += (i == 0 ? "" : i + 1 == allowed.size() ? " or " : ", ") + to_toml(allowed[i]);
  }
  const Given* user = look_up(key, true, expected);
  std::string value = fallback;
  if (user) {
    const auto* text = user->value.bare ? &*user->value.bare : std::get_if<std::string>(&user->value.data);
    if (!text) complain(*user, expected);
    if (std::ranges::find(allowed, *text) == allowed.end()) complain(*user, expected + did_you_mean(*text, allowed));
    value = *text;
  }
  declare({std::string(key), expected, to_toml(fallback), to_toml(value), doc});
  return value;
}

bool Deck::given(std::string_view key) const { return find(key) != nullptr; }

bool Deck::changed(std::string_view key) const {
  const auto declared = std::ranges::find(declared_, key, &Declared::key);
  return declared != declared_.end() && declared->value != declared->fallback;
}

void Deck::reject(std::string_view key, const std::string& found, const std::string& expected) const {
  refuse<UsageError>(place(key), found, expected);
}

void Deck::finish() const {
  const std::vector<std::string> keys = declared_keys();
  const std::string hint = app_.empty() ? "" : " (`" + app_ + " --help` lists every key)";
  for (const Given& user : given_) {
    if (std::ranges::find(keys, user.key) != keys.end()) continue;
    if (!is_table(user.key)) throw UsageError(place(user.key) + ": unknown key" + did_you_mean(user.key, keys) + hint);
    if (!user.empty_table) {
      refuse<UsageError>(place(user.key), "given " + user.value.shown, "a table of keys" + hint);
    }
  }
}

std::string Deck::resolved() const {
  std::vector<std::string_view> tables{""};  // keys without a table must stand before the first header
  for (const Declared& declared : declared_) {
    if (std::ranges::find(tables, table_of(declared.key)) == tables.end()) tables.push_back(table_of(declared.key));
  }
  std::string text;
  for (const std::string_view table : tables) {
    std::string body;
    for (const Declared& declared : declared_) {
      if (table_of(declared.key) == table) body += std::string(name_of(declared.key)) + " = " + declared.value + "\n";
    }
    if (body.empty()) continue;
    if (!text.empty()) text += "\n";
    if (!table.empty()) text.append("[").append(table).append("]\n");
    text += body;
  }
  return text;
}

std::string Deck::config_hash() const {
  std::vector<std::string> lines;
  for (const Declared& declared : declared_) {
    if (declared.key != output_key && declared.key != checkpoint_key)
      lines.push_back(declared.key + " = " + declared.value + "\n");
  }
  std::ranges::sort(lines);
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::string& line : lines) {
    for (const char c : line) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string Deck::help() const {
  std::size_t key_width = 0, expected_width = 0, fallback_width = 0;
  const auto fallback = [](const Declared& declared) {
    return declared.fallback.empty() ? "required" : declared.fallback;
  };
  for (const Declared& declared : declared_) {
    key_width = std::max(key_width, declared.key.size());
    expected_width = std::max(expected_width, declared.expected.size());
    fallback_width = std::max(fallback_width, fallback(declared).size());
  }
  expected_width = std::min<std::size_t>(expected_width, 46);  // one long list of choices must not push all others away
  fallback_width = std::min<std::size_t>(fallback_width, 16);
  std::string text;
  for (const Declared& declared : declared_) {
    text += "  " + padded(declared.key, key_width) + "  " + padded(fallback(declared), fallback_width) + "  " +
            padded(declared.expected, expected_width) + "  " + declared.doc.help + "\n";
  }
  return text;
}

const Given* Deck::find(std::string_view key) const {
  const auto found = std::ranges::find(given_, key, &Given::key);
  return found == given_.end() ? nullptr : &*found;
}

const Given* Deck::look_up(std::string_view key, bool has_fallback, const std::string& expected) const {
  const Given* user = find(key);
  if (!user && !has_fallback && !blank_) {
    refuse<UsageError>((name_.empty() ? "" : name_ + ": ") + std::string(key), "missing", expected);
  }
  return user;
}

void Deck::declare(Declared declared) {
  for (const Declared& earlier : declared_) {
    if (earlier.key == declared.key) {
      if (earlier.expected == declared.expected && earlier.fallback == declared.fallback) return;
      throw Error("deck: " + declared.key + " is declared twice, not alike");
    }
    if (is_below(earlier.key, declared.key) || is_below(declared.key, earlier.key)) {
      throw Error("deck: " + declared.key + " and " + earlier.key + ": a key cannot be a table as well");
    }
  }
  declared_.push_back(std::move(declared));
}

std::string Deck::place(std::string_view key) const {
  if (const Given* user = find(key)) return user->names_key ? user->origin : user->origin + ": " + printable(user->key);
  const auto declared = std::ranges::find(declared_, key, &Declared::key);
  const std::string fallback = declared == declared_.end() ? "" : " (default " + declared->fallback + ")";
  return (name_.empty() ? "" : name_ + ": ") + std::string(key) + fallback;
}

void Deck::complain(const Given& given, const std::string& expected) const {
  refuse<UsageError>(place(given.key), "given " + given.value.shown, expected);
}

std::vector<std::string> Deck::declared_keys() const {
  std::vector<std::string> keys;
  for (const Declared& declared : declared_) keys.push_back(declared.key);
  return keys;
}

bool Deck::is_table(std::string_view key) const {
  return std::ranges::any_of(declared_, [&](const Declared& declared) { return is_below(declared.key, key); });
}

}  // namespace partita::config
