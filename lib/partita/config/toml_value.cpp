// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/toml_value.hpp>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

// toml++ 3.3 asserts of some documents what is not so, and goes on to refuse them. With NDEBUG it asks the compiler to
// rely on that instead.
#undef NDEBUG
#define PARTITA_TOML_ASSERT(condition) static_cast<void>(condition)  // TOML_ASSERT is that word
#include <toml++/toml.h>

#include <partita/config/toml_guard.hpp>
#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>

namespace partita::config {
namespace {

using Position = std::pair<toml::source_index, toml::source_index>;  // line, column

// A message is one line, and no longer than it must.
constexpr std::size_t longest = 60, longest_description = 200, longest_override = 200;
std::string shorten(const std::string& text) { return printable(text, longest); }

template <class Date>
std::string printed(const Date& date) {
  std::ostringstream out;
  out << date;
  return out.str();
}

// As toml++ prints them, which counts the digits of numbers wrongly (undefined behaviour for small ones) and breaks
// lines. Ends where nothing more would be shown.
void print(const toml::node& node, std::string& line) {
  const auto all = [&](const auto& members, const char* begin, const char* end, const auto& one) {
    line += begin;
    bool first = true;
    for (const auto& member : members) {
      if (line.size() > longest) return;
      if (!first) line += ", ";
      first = false;
      one(member);
    }
    line += end;
  };
  if (const auto* array = node.as_array()) {
    if (array->empty()) return void(line += "[]");
    all(*array, "[ ", " ]", [&](const toml::node& element) { print(element, line); });
  } else if (const auto* table = node.as_table()) {
    if (table->empty()) return void(line += "{}");
    all(*table, "{ ", " }", [&](const auto& entry) {
      line.append(entry.first.str()) += " = ";
      print(entry.second, line);
    });
  } else if (const auto* text = node.as_string()) {
    const bool plain = text->get().find_first_of("'\n") == std::string::npos;
    line += plain ? "'" + text->get() + "'" : to_toml(std::string_view(text->get()));
  } else if (const auto* integer = node.as_integer()) {
    line += to_toml(integer->get());
  } else if (const auto* real = node.as_floating_point()) {
    line += to_toml(real->get());
  } else if (const auto* boolean = node.as_boolean()) {
    line += to_toml(boolean->get());
  } else if (const auto* date = node.as_date()) {
    line += printed(*date);
  } else if (const auto* time = node.as_time()) {
    line += printed(*time);
  } else if (const auto* instant = node.as_date_time()) {
    line += printed(*instant);
  }
}

std::string printed_list(const toml::array& array) {
  std::string line;
  print(array, line);
  return shorten(line);
}

Value read_array(const toml::array& array) {
  std::vector<index_t> integers;
  std::vector<double> numbers;
  for (const toml::node& element : array) {
    if (const auto* integer = element.as_integer()) integers.push_back(integer->get());
    if (const auto number = element.value<double>(); number && !element.is_boolean()) numbers.push_back(*number);
  }
  const std::string shown = "the list " + printed_list(array);
  if (integers.size() == array.size()) return {std::move(integers), shown, {}};
  if (numbers.size() == array.size()) return {std::move(numbers), shown, {}};
  return {std::monostate{}, shown, {}};
}

Value read_value(const toml::node& node) {
  if (const auto* boolean = node.as_boolean())
    return {boolean->get(), std::string("the boolean ") + to_toml(boolean->get()), {}};
  if (const auto* integer = node.as_integer()) return {integer->get(), "the integer " + to_toml(integer->get()), {}};
  if (const auto* real = node.as_floating_point()) return {real->get(), "the real number " + to_toml(real->get()), {}};
  if (const auto* text = node.as_string()) return {text->get(), "the string " + shorten(to_toml(text->get())), {}};
  if (const auto* array = node.as_array()) return read_array(*array);
  if (const auto* date = node.as_date()) return {std::monostate{}, "the date " + printed(*date), {}};
  if (const auto* time = node.as_time()) return {std::monostate{}, "the time " + printed(*time), {}};
  if (const auto* instant = node.as_date_time()) return {std::monostate{}, "the date " + printed(*instant), {}};
  return {std::monostate{}, "a table", {}};
}

void flatten(const toml::table& table, const std::string& prefix, std::vector<std::pair<Position, Given>>& result) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    // A list of tables [[t]]; within another table a list is a value, as deep as it may be.
    if (const toml::array* array = node.as_array(); array && prefix.empty() && array->is_array_of_tables()) {
      for (std::size_t k = 0; k < array->size(); ++k)
        flatten(*array->get(k)->as_table(), key + "." + std::to_string(k + 1) + ".", result);
      continue;
    }
    const toml::table* below = node.as_table();
    if (below && !below->empty()) {
      flatten(*below, key + ".", result);
      continue;
    }
    // A [table] header is known to its node, a key = value to its key.
    toml::source_position at = name.source().begin;
    if (!at) at = node.source().begin;
    Given given{key, read_value(node), "", false, false, below != nullptr};
    if (below) given.value.shown = "an empty table";
    result.emplace_back(Position{at.line, at.column}, std::move(given));
  }
}

toml::table parse(std::string_view text, const std::string& name) {
  guard_toml(text, name);
  return toml::parse(text, std::string_view(name));
}

// toml++ keeps tables in alphabetical order.
std::vector<std::pair<Position, Given>> in_order_of_lines(const toml::table& document) {
  std::vector<std::pair<Position, Given>> found;
  flatten(document, "", found);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return found;
}

bool is_key(std::string_view key) {
  if (key.empty() || key.front() == '.' || key.back() == '.' || key.find("..") != key.npos) return false;
  return std::all_of(key.begin(), key.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n\r");
  if (first == text.npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1));
}

}  // namespace

std::vector<Given> read_document(std::string_view text, const std::string& name) {
  std::vector<std::pair<Position, Given>> found;
  try {
    found = in_order_of_lines(parse(text, name));
  } catch (const toml::parse_error& error) {
    throw UsageError(name + ":" + std::to_string(error.source().begin.line) +
                     ": not TOML: " + printable(error.description(), longest_description));
  }
  std::vector<Given> result;
  for (auto& [position, given] : found) {
    given.origin = name + ":" + std::to_string(position.first);
    result.push_back(std::move(given));
  }
  return result;
}

std::vector<Given> read_override(const std::string& text) {
  const std::string origin = "--set " + printable(text, longest_override);
  const auto equals = text.find('=');
  if (equals == text.npos) refuse<UsageError>(origin, "no value", "key=value");
  const std::string key = trimmed(std::string_view(text).substr(0, equals));
  const std::string value = trimmed(std::string_view(text).substr(equals + 1));
  if (!is_utf8(text)) refuse<UsageError>(origin, "bytes that are no text", "UTF-8");
  if (!is_key(key)) refuse<UsageError>(origin, "no key", "key=value");
  if (value.empty()) refuse<UsageError>(origin, "no value", "one; an empty string is " + printable(key) + "='\"\"'");

  const bool bare = std::string_view("\"'[{").find(value.front()) == std::string_view::npos;
  std::vector<std::pair<Position, Given>> found;
  // A bare word with # is a name, not a value and a comment. No TOML value but a string has characters beyond ASCII.
  const bool word = bare && std::any_of(value.begin(), value.end(),
                                        [](unsigned char c) { return c == '#' || c == '\n' || c > 0x7f; });
  if (!word) {
    try {
      found = in_order_of_lines(parse("value = " + value, origin));
    } catch (const toml::parse_error& error) {
      if (!bare)
        throw UsageError(origin + ": not a TOML value: " + printable(error.description(), longest_description));
    }
  }
  if (found.empty())
    found.push_back({{}, {"value", {value, "the string " + shorten(to_toml(value)), {}}, "", true, false, false}});
  std::vector<Given> result;
  for (auto& [position, given] : found) {
    if (given.key.compare(0, 5, "value") != 0 || (given.key.size() > 5 && given.key[5] != '.')) {
      refuse<UsageError>(origin, "several values", "one");
    }
    given.names_key = given.key == "value";
    given.key = key + given.key.substr(5);
    given.origin = origin;
    given.override_ = true;
    if (bare) given.value.bare = value;
    result.push_back(std::move(given));
  }
  return result;
}

std::string to_toml(bool value) { return value ? "true" : "false"; }

std::string to_toml(index_t value) { return std::to_string(value); }

std::string to_toml(double value) {
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value).ptr;  // the shortest text that reads back the same
  std::string text(buffer, end);
  if (text.find_first_of(".en") == text.npos) text += ".0";  // e: exponent, n: inf and nan
  return text;
}

std::string to_toml(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      constexpr char digits[] = "0123456789ABCDEF";
      text += {'\\', 'u', '0', '0', digits[code / 16], digits[code % 16]};
    } else {
      text += c;
    }
  }
  return text + '"';
}

std::string to_toml(const std::vector<index_t>& value) {
  std::string text = "[";
  for (std::size_t i = 0; i < value.size(); ++i) text += (i ? ", " : "") + std::to_string(value[i]);
  return text + "]";
}

std::string to_toml(const std::vector<double>& value) {
  std::string text = "[";
  for (std::size_t i = 0; i < value.size(); ++i) text += (i ? ", " : "") + to_toml(value[i]);
  return text + "]";
}

}  // namespace partita::config
