// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/session.hpp>

#include <fmt/format.h>

#include <partita/core/build_info.hpp>
#include <partita/core/text_file.hpp>
#include <partita/driver/terminal.hpp>

namespace partita::driver {
namespace {

std::string join(int argc, char** argv) {
  std::string command;
  for (int i = 0; i < argc; ++i) command += (i > 0 ? " " : "") + quoted(argv[i]);
  return command;
}

}  // namespace

Session::Session(comm::Environment& env, int argc, char** argv, const std::string& app, const std::string& about,
                 bool deck_required, const std::vector<config::Option>& options)
    : env_(env),
      attendance_(env),
      app_(app),
      line_(config::parse_command_line(argc, argv, app, about, deck_required, options)),
      command_(join(argc, argv)),
      deck_(line_.help || line_.version
                ? config::Deck::blank(app)
                : config::Deck::parse(env.world().on_root([&] {
                    return line_.deck.empty() ? "" : read_text_file(line_.deck, "a deck, a file in TOML");
                  }),
                                      line_.deck, line_.overrides, app)) {}

bool Session::settled(const RunOptions& run, Describes what, const std::function<void()>& check) const {
  const comm::Communicator& world = env_.world();
  const auto answer = [&](const std::string& text) {
    world.on_root([&] {
      say(text);
      require_said();
    });
  };
  if (line_.version) {
    answer(fmt::format("{} (Partita {}, {})\n", app_, build_info().version, build_info().git_sha));
    return true;
  }
  if (line_.help) {
    answer(fmt::format("{}\nKeys of the deck:\n{}", line_.usage, deck_.help()));
    return true;
  }
  if (line_.describe && what == Describes::nothing)
    refuse<UsageError>(app_ + ": --describe", "there is no model in this program to describe", "a run without it");
  deck_.finish();
  if (line_.print_config) answer(deck_.resolved());
  if (check && (line_.validate || !line_.print_config)) check();
  if (line_.validate) {
    world.on_root([&] { try_output(run); });
    answer(fmt::format("{}: {} is valid for {} ranks\n", app_, line_.deck, env_.size()));
  }
  return line_.print_config || line_.validate;
}

void Session::start(RunOptions& run) {
  run.origin = {app_, deck_.resolved(), deck_.config_hash(), command_};
  attendance_.set_limits(run.hang_timeout_s, run.learns_hang_timeout, run.time_limit_s);
  attendance_.beat(0, "reading data and making the model");
  env_.traffic().check_calls(run.check_collectives);
}

bool Session::describe(const std::string& model, double flop_per_step) const {
  if (line_.describe && env_.rank() == 0)
    say(fmt::format("{}counted: {:.17g} flop a step of {} rank{}\n", model, flop_per_step, env_.size(),
                    env_.size() == 1 ? "" : "s"));
  return line_.describe;
}

std::string quoted(const std::string& argument) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:@%";
  if (!argument.empty() && argument.find_first_not_of(plain) == std::string::npos) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

}  // namespace partita::driver
