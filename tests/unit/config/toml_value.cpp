// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <partita/config/toml_value.hpp>
#include <partita/core/error.hpp>

#include <support/caught.hpp>

namespace partita::config::toml_value_tests {
namespace {

using namespace partita;
using namespace partita::config;
using partita::testing::caught;

template <class T>
T value_of(const Given& given) {
  return std::get<T>(given.value.data);
}

TEST(toml_value, documents_are_flattened_in_the_order_of_their_lines) {
  const auto given = read_document(
      "z = 1\n[b]\ny = 'text'\nx.w = true\n\n[a]\nlist = [\n  1,\n  2]\nreal = 1e-3\n[empty]\n", "d.toml");
  ASSERT_EQ(given.size(), 6u);
  const std::vector<std::string> keys{"z", "b.y", "b.x.w", "a.list", "a.real", "empty"};
  const std::vector<std::string> origins{"d.toml:1", "d.toml:3", "d.toml:4", "d.toml:7", "d.toml:10", "d.toml:11"};
  for (std::size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(given[i].key, keys[i]);
    EXPECT_EQ(given[i].origin, origins[i]);
    EXPECT_FALSE(given[i].override_);
  }
  EXPECT_EQ(value_of<index_t>(given[0]), 1);
  EXPECT_EQ(value_of<std::string>(given[1]), "text");
  EXPECT_EQ(value_of<bool>(given[2]), true);
  EXPECT_EQ(value_of<std::vector<index_t>>(given[3]), (std::vector<index_t>{1, 2}));
  EXPECT_EQ(value_of<double>(given[4]), 1e-3);
  EXPECT_TRUE(given[5].empty_table);
}

TEST(toml_value, what_is_shown_names_type_and_value) {
  const auto given = read_document(
      "a = true\nb = 5\nc = 2.5\nd = 'x'\ne = [1, 2]\nf = [1, 'x']\ng = 2024-01-31\nh = 12:30:00\ni = "
      "2024-01-31T12:30:00Z\nj = {}\n"
      "k = 'a very long string of which a message should show no more than its beginning'",
      "d.toml");
  const std::vector<std::string> shown{"the boolean true",
                                       "the integer 5",
                                       "the real number 2.5",
                                       "the string \"x\"",
                                       "the list [ 1, 2 ]",
                                       "the list [ 1, 'x' ]",
                                       "the date 2024-01-31",
                                       "the time 12:30:00",
                                       "the date 2024-01-31T12:30:00Z",
                                       "an empty table",
                                       "the string \"a very long string of which a message should show no more t..."};
  ASSERT_EQ(given.size(), shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i) EXPECT_EQ(given[i].value.shown, shown[i]);
}

TEST(toml_value, what_is_shown_is_one_line) {
  std::string list = "a = [";
  for (int i = 0; i < 100; ++i) list += std::to_string(i) + ",";
  EXPECT_EQ(read_document(list + "]", "d.toml").at(0).value.shown,
            "the list [ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, ...");
  std::string word = "a = '";
  for (int i = 0; i < 100; ++i) word += "\u00fc";
  const std::string shown = read_document(word + "'", "d.toml").at(0).value.shown;
  EXPECT_EQ(shown.substr(shown.size() - 5), "\u00fc...") << "no half character";
}

// toml++ 3.3 counts their digits by logarithms, of which it makes unsigned numbers.
TEST(toml_value, lists_are_shown_whatever_their_numbers) {
  const auto shown = [](const std::string& list) { return read_document("a = " + list, "d.toml").at(0).value.shown; };
  EXPECT_EQ(shown("[1e-12, -1e-3, 0.0, -9223372036854775808]"),
            "the list [ 1e-12, -0.001, 0.0, -9223372036854775808 ]");
  EXPECT_EQ(shown("[\"it's\", {b.c = true}, [], {}, 07:00:00]"),
            "the list [ \"it's\", { b = { c = true } }, [], {}, 07:00:00 ]");
}

// Each part is a table in a table, which ends the stack of a reader and of the tree's own end.
TEST(toml_value, keys_of_very_many_parts_are_refused) {
  const auto deep = [](int parts, const std::string& part) {
    std::string key = part;
    for (int i = 1; i < parts; ++i) key += " . " + part;
    return key;
  };
  EXPECT_EQ(read_document(deep(32, "a") + " = 1", "d.toml").size(), 1u);
  for (const char* part : {"a", "'='", "\"#\\\"\"", "\"[\""}) {
    const std::string text = "x = '''a'b\n''' # '\n[t.u]\n" + deep(100'000, part) + " = 1";
    EXPECT_EQ(caught<UsageError>([&] { read_document(text, "d.toml"); }),
              "d.toml:4: a key of more than 32 parts: expected fewer");
    EXPECT_NE(caught<UsageError>([&] { read_override("a={" + deep(100'000, part) + " = 1}"); }).find("parts"),
              std::string::npos);
  }
  EXPECT_EQ(read_document("# " + deep(99, "a") + "\nx = '" + deep(99, "a") + "'", "d.toml").size(), 1u);
  std::string nest, end;  // as deep as it goes
  for (int i = 0; i < 100; ++i) nest += (i > 0 ? "[{" : "") + deep(32, "a") + " = ", end += i > 0 ? "}]" : "";
  EXPECT_EQ(read_document(nest + "1" + end, "d.toml").size(), 1u);
}

TEST(toml_value, what_is_no_text_is_refused_and_shown_in_one_line) {
  EXPECT_EQ(caught<UsageError>([] { read_override("a.b=\xff\xfe"); }),
            "--set a.b=?\?: bytes that are no text: expected UTF-8");
  EXPECT_LT(caught<UsageError>([] { read_override("a=[" + std::string(10'000, 'x')); }).size(), 600u);
}

TEST(toml_value, malformed_documents_are_refused_with_their_line) {
  const auto message = [](const char* text) { return caught<UsageError>([&] { read_document(text, "d.toml"); }); };
  EXPECT_EQ(message("a = 1\nb = \n").rfind("d.toml:2: not TOML: ", 0), 0u) << message("a = 1\nb = \n");
  EXPECT_EQ(message("a = 1\n\na = 2\n").rfind("d.toml:3: not TOML: ", 0), 0u) << message("a = 1\n\na = 2\n");
  EXPECT_EQ(message("[a\n").rfind("d.toml:1: not TOML: ", 0), 0u) << message("[a\n");
  EXPECT_EQ(message("[/a]\n").rfind("d.toml:1: not TOML: ", 0), 0u) << "toml++ 3.3 asserts that it is none";
  EXPECT_EQ(message("a = 1\nb = 0\u00fc\n"),
            "d.toml:2: not TOML: a character beyond ASCII: expected it in strings and comments alone");
  EXPECT_EQ(read_document("\xef\xbb\xbf"
                          "# \u00fc\na = '\u00fc'\n'\u00fc' = 1\n",
                          "d.toml")
                .size(),
            2u);
  EXPECT_EQ(message("a = [0N'7\u02f8rr]\n").rfind("d.toml:1: not TOML: ", 0), 0u) << "toml++ 3.3 says it cannot be";
  EXPECT_EQ(read_document("a = \"\"\"\\\n\u00e9\"\"\"\n", "d.toml").size(), 1u) << "the same";
  EXPECT_EQ(message("a = 99999999999999999999\n").rfind("d.toml:1: not TOML: ", 0), 0u);
  EXPECT_EQ(message("a = \"\xff\"\n").rfind("d.toml:1: not TOML: ", 0), 0u);
  EXPECT_EQ(message("a = \n").find('\n'), std::string::npos) << "one line";
  EXPECT_TRUE(read_document("", "").empty());
  EXPECT_TRUE(read_document("# only a comment", "d.toml").empty());
}

Given one_override(const std::string& text) {
  const auto given = read_override(text);
  EXPECT_EQ(given.size(), 1u) << text;
  return given.at(0);
}

TEST(toml_value, overrides_are_toml_values) {
  EXPECT_EQ(value_of<index_t>(one_override("train.steps=20")), 20);
  EXPECT_EQ(value_of<index_t>(one_override(" train.steps = 1_000 ")), 1000);
  EXPECT_EQ(value_of<double>(one_override("a.b=1e-3")), 1e-3);
  EXPECT_EQ(value_of<bool>(one_override("a.b=false")), false);
  EXPECT_EQ(value_of<std::vector<index_t>>(one_override("a.b=[8, 16]")), (std::vector<index_t>{8, 16}));
  EXPECT_EQ(value_of<std::string>(one_override("a.b=\"two words\"")), "two words");
  EXPECT_EQ(value_of<std::string>(one_override("a.b=''")), "");
}

TEST(toml_value, bare_words_are_strings) {
  for (const char* word : {"ring", "x.h5", "/tmp/a b/x.h5", "runs/a=b.h5", "2024#1", "~/x", "1.2.3", "C:\\x", "ümlaut",
                           "grüße", "0ü", "x\ny = 3"}) {
    const Given given = one_override(std::string("output.path=") + word);
    EXPECT_EQ(value_of<std::string>(given), word);
    EXPECT_EQ(given.value.bare, word);
  }
  EXPECT_EQ(one_override("output.path=2024").value.bare, "2024") << "for keys that want text";
  EXPECT_FALSE(one_override("output.path='2024'").value.bare.has_value());
}

TEST(toml_value, overrides_say_where_they_came_from) {
  const Given given = one_override("train.steps=20");
  EXPECT_EQ(given.key, "train.steps");
  EXPECT_EQ(given.origin, "--set train.steps=20");
  EXPECT_TRUE(given.override_ && given.names_key);

  const auto both = read_override("train={steps=20, seed=1}");
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].key, "train.steps");
  EXPECT_EQ(both[1].key, "train.seed");
  EXPECT_FALSE(both[0].names_key);
}

TEST(toml_value, malformed_overrides_are_refused) {
  const auto message = [](const char* text) { return caught<UsageError>([&] { read_override(text); }); };
  EXPECT_EQ(message("train.steps"), "--set train.steps: no value: expected key=value");
  EXPECT_EQ(message("=3"), "--set =3: no key: expected key=value");
  EXPECT_EQ(message("train..steps=3"), "--set train..steps=3: no key: expected key=value");
  EXPECT_EQ(message(".steps=3"), "--set .steps=3: no key: expected key=value");
  EXPECT_EQ(message("a b=3"), "--set a b=3: no key: expected key=value");
  EXPECT_EQ(message("a= "), "--set a= : no value: expected one; an empty string is a='\"\"'");
  EXPECT_EQ(message("a=[1, 2").rfind("--set a=[1, 2: not a TOML value: ", 0), 0u) << message("a=[1, 2");
  EXPECT_EQ(message("a='x").rfind("--set a='x: not a TOML value: ", 0), 0u) << message("a='x");
  EXPECT_EQ(message("a=[1]\nb = 2"), "--set a=[1]?b = 2: several values: expected one");
}

TEST(toml_value, text_reads_back_as_the_same_value) {
  const auto back = [](const std::string& text) { return read_document("a = " + text, "d.toml").at(0); };
  for (const double value :
       {0.0, -0.0, 1.0, -2.5, 0.1, 1e-3, 1e20, 1e-300, 5e-324, 1.7976931348623157e308, 1.0 / 3, 123456789.0,
        std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    const double read = value_of<double>(back(to_toml(value)));
    EXPECT_EQ(read, value) << to_toml(value);
    EXPECT_EQ(std::signbit(read), std::signbit(value));
  }
  EXPECT_TRUE(std::isnan(value_of<double>(back(to_toml(std::nan(""))))));
  for (const index_t value :
       {index_t{0}, index_t{-7}, std::numeric_limits<index_t>::min(), std::numeric_limits<index_t>::max()}) {
    EXPECT_EQ(value_of<index_t>(back(to_toml(value))), value);
  }
  for (const char* value :
       {"", "plain", "with \"quotes\" and \\", "tab\tand\nnewline", "\x01\x1f\x7f", "grüße", "# no comment"}) {
    EXPECT_EQ(value_of<std::string>(back(to_toml(std::string_view(value)))), value);
  }
  EXPECT_EQ(value_of<bool>(back(to_toml(true))), true);
  EXPECT_EQ(value_of<std::vector<index_t>>(back(to_toml(std::vector<index_t>{3, -1}))), (std::vector<index_t>{3, -1}));
  EXPECT_EQ(value_of<std::vector<index_t>>(back(to_toml(std::vector<index_t>{}))), std::vector<index_t>{});
}

}  // namespace
}  // namespace partita::config::toml_value_tests
