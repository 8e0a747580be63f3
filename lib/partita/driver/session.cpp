// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <partita/core/build_info.hpp>
#include <partita/driver/session.hpp>
#include <sstream>

namespace partita::driver {
namespace {

std::string read_text(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    refuse<UsageError>(path, "it is a folder", "a deck, a file in TOML");
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || file.bad()) throw UsageError(fmt::format("{}: cannot read this deck: {}", path, std::strerror(errno)));
  return text.str();
}

std::string join(int argc, char** argv) {
  std::string command;
  for (int i = 0; i < argc; ++i) command += (i > 0 ? " " : "") + std::string(argv[i]);
  return command;
}

}  // namespace

Session::Session(const comm::Environment& env, int argc, char** argv, const std::string& app, const std::string& about,
                 bool deck_required)
    : env_(env),
      app_(app),
      line_(config::parse_command_line(argc, argv, app, about, deck_required)),
      command_(join(argc, argv)),
      deck_(line_.help || line_.version ? config::Deck::blank(app)
                                        : config::Deck::parse(env.world().on_root([&] {
                                            return line_.deck.empty() ? "" : read_text(line_.deck);
                                          }),
                                                              line_.deck, line_.overrides, app)) {}

bool Session::settled(RunOptions& run, Describes what) const {
  const bool speaks = env_.rank() == 0;
  if (line_.version) {
    if (speaks) fmt::print("{} (Partita {}, {})\n", app_, build_info().version, build_info().git_sha);
    return true;
  }
  if (line_.help) {
    if (speaks) fmt::print("{}\nKeys of the deck:\n{}", line_.usage, deck_.help());
    return true;
  }
  if (line_.describe && what == Describes::nothing)
    throw UsageError(fmt::format("{}: --describe: there is no model in this program to describe", app_));
  deck_.finish();
  run.app = app_;
  run.resolved = deck_.resolved();
  run.config_hash = deck_.config_hash();
  run.command = command_;
  if (line_.print_config && speaks) fmt::print("{}", run.resolved);
  if (line_.validate) env_.world().on_root([&] { try_output(run); });
  if (line_.validate && speaks) fmt::print("{}: {} is valid for {} ranks\n", app_, line_.deck, env_.size());
  return line_.print_config || line_.validate;
}

bool Session::describe(const std::string& model) const {
  if (line_.describe && env_.rank() == 0) fmt::print("{}", model);
  return line_.describe;
}

}  // namespace partita::driver
