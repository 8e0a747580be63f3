// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace partita::config {

/// The key that --output sets. Like the next one it says where a file goes, and changes no result.
inline constexpr std::string_view output_key = "output.path";
inline constexpr std::string_view checkpoint_key = "checkpoint.path";

/// An option of an app's own that is no key of the deck, because it changes nothing of what is computed.
struct Option {
  std::string flag;  ///< "--save-weights"
  std::string type;  ///< of its value, in --help: "FILE"; empty: it takes none
  std::string help;
  std::optional<std::string>* value;  ///< where it goes; "" of one that takes none
};

inline std::vector<Option> joined(std::vector<Option> some, const std::vector<Option>& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

/// What stands on the command line of an app: `app DECK.toml [--set key=value ...] [--output FILE] [--validate |
/// --print-config | --describe]`.
struct CommandLine {
  std::string deck;                    ///< path; empty when none was given
  std::vector<std::string> overrides;  ///< "key=value", in order; --output comes last, as output.path=FILE
  std::optional<std::string> output;
  bool validate = false;
  bool print_config = false;
  bool describe = false;
  bool help = false;
  bool version = false;
  std::string usage;  ///< what --help prints above the list of keys
};

/// Arguments that begin with --kokkos- are Kokkos's and are passed over.
///
/// Throws   UsageError for an unknown flag, a flag without its value, two decks, or no deck where one is needed (never
///          with --help or --version).
CommandLine parse_command_line(int argc, const char* const* argv, const std::string& app, const std::string& about,
                               bool deck_required = true, const std::vector<Option>& options = {});

}  // namespace partita::config
