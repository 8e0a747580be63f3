// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/config/command_line.hpp>
#include <partita/config/deck.hpp>
#include <partita/core/error.hpp>

#include <support/caught.hpp>

namespace partita::config::command_line_tests {
namespace {

using namespace partita;
using namespace partita::config;
using partita::testing::caught;

CommandLine parse(std::vector<const char*> arguments, bool deck_required = true) {
  arguments.insert(arguments.begin(), "build/apps/mlp_dp/mlp_dp");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "mlp_dp", "An MLP.", deck_required);
}

std::string message(const std::vector<const char*>& arguments) {
  return caught<UsageError>([&] { parse(arguments); });
}

TEST(command_line, deck_and_overrides_in_any_order) {
  const CommandLine line = parse({"--set", "train.steps=20", "a.toml", "--set=train.batch=8", "--validate"});
  EXPECT_EQ(line.deck, "a.toml");
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"train.steps=20", "train.batch=8"}));
  EXPECT_TRUE(line.validate);
  EXPECT_FALSE(line.print_config || line.help || line.version || line.output);
}

TEST(command_line, values_reach_the_deck_untouched) {
  const CommandLine line =
      parse({"a.toml", "--set", "model.hidden=[8, 16]", "--set", "a.b=x=y", "--set", "a.c='two words'"});
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"model.hidden=[8, 16]", "a.b=x=y", "a.c='two words'"}));
}

TEST(command_line, arguments_of_kokkos_are_passed_over) {
  const CommandLine line = parse({"--kokkos-num-threads=2", "a.toml", "--kokkos-print-configuration"});
  EXPECT_EQ(line.deck, "a.toml");
}

TEST(command_line, output_is_an_override_that_wins) {
  for (const char* path : {"x.h5", "runs/a b.h5", "7", "[x].h5", "'x.h5", " x.h5", "x.h5 ", "{a}", "true"}) {
    const CommandLine line = parse({"--output", path, "a.toml", "--set", "output.path=loser.h5"});
    EXPECT_EQ(line.output, path);
    Deck deck = Deck::parse("", "", line.overrides);
    EXPECT_EQ(deck.text("output.path", "default.h5", "record"), path);
  }
}

TEST(command_line, flags) {
  EXPECT_TRUE(parse({"a.toml", "--print-config"}).print_config);
  EXPECT_TRUE(parse({"a.toml", "--describe"}).describe);
  EXPECT_FALSE(parse({"a.toml"}).describe);
  EXPECT_TRUE(parse({"-h"}).help);
  EXPECT_TRUE(parse({"--help", "a.toml", "--nonsense"}).help) << "who asks for help gets it";
  EXPECT_TRUE(parse({"--version"}).version);
}

TEST(command_line, usage_names_every_flag) {
  const std::string usage = parse({"--help"}).usage;
  for (const char* part : {"An MLP.", "mlp_dp", "DECK.toml", "--set", "--output", "--validate", "--print-config",
                           "--describe", "--help", "--version"}) {
    EXPECT_NE(usage.find(part), std::string::npos) << part << " in\n" << usage;
  }
}

TEST(command_line, mistakes_are_named) {
  const std::string hint = " (`mlp_dp --help` shows the usage)";
  EXPECT_EQ(message({}), "mlp_dp: no deck: expected the path of a TOML file" + hint);
  EXPECT_EQ(message({"a.toml", "b.toml"}), "mlp_dp: two decks, a.toml and b.toml: expected one" + hint);
  EXPECT_EQ(message({"a.toml", "--ouput=x"}), "mlp_dp: --ouput=x: unknown option; did you mean --output?" + hint);
  EXPECT_EQ(message({"a.toml", "--decribe"}), "mlp_dp: --decribe: unknown option; did you mean --describe?" + hint);
  EXPECT_EQ(message({"a.toml", "-q"}), "mlp_dp: -q: unknown option" + hint);
  EXPECT_NE(message({"a.toml", "--set"}).find("--set"), std::string::npos);
  EXPECT_EQ(message({"a.toml", "--set"}).find('\n'), std::string::npos) << "one line";
}

TEST(command_line, an_app_may_have_options_of_its_own) {
  std::optional<std::string> value;
  const auto with = [&](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "mlp_dp");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "mlp_dp", "An MLP.", true,
                              {{"--save-weights", "FILE", "write them there", &value}});
  };
  EXPECT_EQ(with({"a.toml"}).deck, "a.toml");
  EXPECT_FALSE(value);
  EXPECT_EQ(with({"--save-weights", "w x", "a.toml"}).deck, "a.toml");
  EXPECT_EQ(value, "w x");
  EXPECT_NE(with({"--help"}).usage.find("--save-weights FILE"), std::string::npos);
  EXPECT_NE(caught<UsageError>([&] {
              with({"a.toml", "--save-weight=w"});
            }).find("did you mean --save-weights?"),
            std::string::npos);
  EXPECT_NE(message({"a.toml", "--save-weights=w"}).find("unknown option"), std::string::npos) << "of others";
}

TEST(command_line, an_option_of_an_app_may_take_no_value) {
  std::optional<std::string> value;
  const auto with = [&](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "cnn_pp");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "cnn_pp", "A CNN.", true,
                              {{"--show-schedule", "", "draw it", &value}});
  };
  with({"a.toml"});
  EXPECT_FALSE(value);
  EXPECT_EQ(with({"--show-schedule", "a.toml"}).deck, "a.toml") << "what follows is no value of it";
  EXPECT_TRUE(value);
}

TEST(command_line, a_deck_may_be_optional) { EXPECT_EQ(parse({"--set", "a.b=1"}, false).deck, ""); }

}  // namespace
}  // namespace partita::config::command_line_tests
