// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <gtest/gtest.h>

#include <partita/core/printable.hpp>

namespace partita::printable_tests {
namespace {

TEST(printable, text_stays_as_it_is) {
  for (const char* text : {"", "ring", "gr\u00fc\u00dfe", "\u20ac", "\U0001f600", "\"quoted\" and \\"})
    EXPECT_EQ(printable(text), text);
}

TEST(printable, what_is_no_character_or_has_no_picture_is_a_question_mark) {
  EXPECT_EQ(printable(std::string_view("a\nb\tc\x1b[0m\x7f\0d", 12)),
            "a?b?c?[0m?"
            "?d");
  EXPECT_EQ(printable("\xff\xc3:\xe2\x82"), "??:??");
  EXPECT_EQ(printable("\xc0\xaf \xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xf0\x80\x80\xaf"), "?? ??? ??? ???? ????");
}

TEST(printable, ends_at_a_character) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdef", 5), "abcde...");
  EXPECT_EQ(printable("ab\u20accd", 4), "ab...");
  EXPECT_EQ(printable(std::string(1000, 'x')), std::string(80, 'x') + "...");
}

TEST(printable, knows_utf8) {
  EXPECT_TRUE(is_utf8("gr\u00fc\u00dfe \u20ac \U0001f600"));
  for (const char* text : {"\xff", "\xc3", "a\xe2\x82", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"})
    EXPECT_FALSE(is_utf8(text));
}

}  // namespace
}  // namespace partita::printable_tests
