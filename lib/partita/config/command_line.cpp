// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/command_line.hpp>

#include <algorithm>

#include <CLI/CLI.hpp>

#include <partita/config/suggestion.hpp>
#include <partita/config/toml_value.hpp>
#include <partita/core/error.hpp>

namespace partita::config {
namespace {

[[noreturn]] void complain(const std::string& app, const std::string& message) {
  throw UsageError(app + ": " + message + " (`" + app + " --help` shows the usage)");
}

// As it would be typed behind --set; quoted only where a bare word would be read as something else.
std::string output_override(const std::string& path) {
  const bool bare = !path.empty() && std::string_view("\"'[{ \t").find(path.front()) == std::string_view::npos &&
                    path.find_last_of(" \t") != path.size() - 1;
  return std::string(output_key) + "=" + (bare ? path : to_toml(path));
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv, const std::string& app, const std::string& about,
                               bool deck_required, const std::vector<Option>& options) {
  CommandLine result;
  CLI::App cli(about, app);
  cli.set_help_flag("");  // help is more than CLI11 knows: the caller appends the keys of the deck
  cli.add_option("deck", result.deck, "deck in TOML: what to run")->type_name("DECK.toml");
  cli.add_option("--set", result.overrides, "override a key of the deck; may be repeated")
      ->type_name("key=value")
      ->allow_extra_args(false);
  cli.add_option("--output", result.output,
                 "where to write the record: the same as --set " + std::string(output_key) + "=FILE")
      ->type_name("FILE");
  for (const Option& option : options) {
    if (option.type.empty())
      cli.add_flag_callback(
          option.flag, [to = option.value] { *to = ""; }, option.help);
    else
      cli.add_option(option.flag, *option.value, option.help)->type_name(option.type);
  }
  cli.add_flag("--validate", result.validate, "read and check everything, run nothing");
  cli.add_flag("--print-config", result.print_config, "print the resolved deck, which reproduces the run");
  cli.add_flag("--describe", result.describe, "print the model: units, shapes, parameters, flop; run nothing");
  cli.add_flag("-h,--help", result.help, "print this page with every key of the deck");
  cli.add_flag("--version", result.version, "print the version and how it was built");
  cli.allow_extras();

  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 takes them last first
    if (!std::string_view(argv[i]).starts_with("--kokkos-")) arguments.emplace_back(argv[i]);
  }
  try {
    cli.parse(arguments);
  } catch (const CLI::ParseError& error) {
    complain(app, error.what());
  }
  result.usage = cli.help();
  if (result.help || result.version) return result;

  if (const auto extras = cli.remaining(); !extras.empty()) {
    if (!extras.front().starts_with('-'))
      complain(app, "two decks, " + result.deck + " and " + extras.front() + ": expected one");
    const std::string flag = extras.front().substr(0, extras.front().find('='));
    std::vector<std::string> flags{"--set",      "--output", "--validate", "--print-config",
                                   "--describe", "--help",   "--version"};
    for (const Option& option : options) flags.push_back(option.flag);
    complain(app, extras.front() + ": unknown option" + did_you_mean(flag, flags));
  }
  if (result.deck.empty() && deck_required) complain(app, "no deck: expected the path of a TOML file");
  if (result.output) result.overrides.push_back(output_override(*result.output));
  return result;
}

}  // namespace partita::config
