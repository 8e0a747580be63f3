// SPDX-License-Identifier: BSD-3-Clause
// Lists of real numbers in a deck.
#include <gtest/gtest.h>

#include <partita/config/deck.hpp>

#include <support/caught.hpp>

namespace partita::config::deck_reals_tests {
namespace {

using testing::caught;
using Reals = std::vector<double>;

Deck parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return Deck::parse(text, "d.toml", overrides, "app");
}

Reals read(Deck& deck, RealRange range = {}) { return deck.reals("a.times", Reals{0.5, 2}, range, {"when", "s"}); }

Reals read(const std::string& text, const std::vector<std::string>& overrides = {}, RealRange range = {}) {
  Deck deck = parse(text, overrides);
  const Reals values = read(deck, range);
  deck.finish();
  return values;
}

std::string message(const std::string& text, RealRange range, const std::vector<std::string>& overrides = {}) {
  return caught<UsageError>([&] { read(text, overrides, range); });
}

TEST(deck_reals, may_be_integers_or_both_or_none) {
  EXPECT_EQ(read(""), (Reals{0.5, 2})) << "the default";
  EXPECT_EQ(read("a.times = [1.5, 1e-3]\n"), (Reals{1.5, 1e-3}));
  EXPECT_EQ(read("a.times = [1, 2]\n"), (Reals{1, 2}));
  EXPECT_EQ(read("a.times = [1, 2.5, -3]\n"), (Reals{1, 2.5, -3}));
  EXPECT_EQ(read("a.times = []\n"), Reals{});
  EXPECT_EQ(read("a.times = [1]\n", {"a.times=[7, 0.25]"}), (Reals{7, 0.25})) << "an override beats the deck";
}

TEST(deck_reals, of_another_type_are_named_with_what_is_allowed) {
  const RealRange range = RealRange::at_least(0);
  const std::string expected = ": expected a list of numbers >= 0, in s";
  EXPECT_EQ(message("a.times = 7\n", range), "d.toml:1: a.times: given the integer 7" + expected);
  EXPECT_EQ(message("\na.times = 'x'\n", range), "d.toml:2: a.times: given the string \"x\"" + expected);
  EXPECT_EQ(message("a.times = [1, true]\n", range), "d.toml:1: a.times: given the list [ 1, true ]" + expected);
  EXPECT_EQ(message("a.times = ['x']\n", range).substr(0, 28), "d.toml:1: a.times: given the");
  EXPECT_EQ(message("a.times = [[1]]\n", range).substr(0, 28), "d.toml:1: a.times: given the");
  EXPECT_EQ(message("", range, {"a.times=x"}), "--set a.times=x: given the string \"x\"" + expected);
}

TEST(deck_reals, are_each_in_the_range) {
  EXPECT_EQ(message("a.times = [0, 1.5]\n", RealRange::at_least(0)), "nothing was thrown");
  EXPECT_EQ(message("a.times = [1, -0.5]\n", RealRange::at_least(0)),
            "d.toml:1: a.times: given the list [ 1, -0.5 ]: expected a list of numbers >= 0, in s");
  EXPECT_EQ(message("a.times = [1, 0]\n", RealRange::above(0)),
            "d.toml:1: a.times: given the list [ 1, 0 ]: expected a list of numbers > 0, in s");
  for (const char* word : {"inf", "nan"})
    EXPECT_EQ(message(std::string("a.times = [") + word + "]\n", {}),
              std::string("d.toml:1: a.times: given the list [ ") + word + " ]: expected a list of numbers, in s");
}

TEST(deck_reals, that_are_resolved_read_back_the_same) {
  Deck deck = parse("a.times = [1, 0.1, 1e-300, 123456789012345.6]\n");
  const Reals values = read(deck);
  deck.finish();
  EXPECT_EQ(deck.resolved(), "[a]\ntimes = [1.0, 0.1, 1e-300, 123456789012345.6]\n");
  EXPECT_TRUE(deck.changed("a.times"));
  Deck again = parse(deck.resolved());
  EXPECT_EQ(read(again), values);
  EXPECT_EQ(again.resolved(), deck.resolved());
  EXPECT_EQ(again.config_hash(), deck.config_hash());
  Deck spelt = parse("a.times = [0.5, 2]\n");
  read(spelt);
  EXPECT_FALSE(spelt.changed("a.times")) << "the default, with an integer";
}

TEST(deck_reals, bind_an_option_and_may_be_required) {
  Reals option = {3};
  EXPECT_EQ(parse("").reals("t", option, {}, ""), Reals{3});
  EXPECT_EQ(parse("t = [4, 5.5]\n").reals("t", option, {}, ""), (Reals{4, 5.5}));
  EXPECT_EQ(option, (Reals{4, 5.5}));
  EXPECT_EQ(caught<UsageError>([&] { parse("").reals("t", std::nullopt, {}, ""); }),
            "d.toml: t: missing: expected a list of numbers");
}

}  // namespace
}  // namespace partita::config::deck_reals_tests
