// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/schedule_text.hpp>

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>

namespace partita::parallel {
namespace {

using nn::Action;
using Kind = Action::Kind;

char letter(Kind kind) {
  switch (kind) {
    case Kind::forward:
      return 'F';
    case Kind::backward:
      return 'B';
    case Kind::backward_input:
      return 'I';
    default:
      return 'W';
  }
}

std::optional<Kind> kind_of(char of) {
  for (const Kind kind : {Kind::forward, Kind::backward, Kind::backward_input, Kind::backward_weights})
    if (letter(kind) == of) return kind;
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\"");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\"") - first + 1);
}

// Up to the next separator, which goes, too.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

// Of "12F3"; none for what is no pass.
std::optional<Action> action_of(std::string_view text) {
  Action action;
  const char* const end = text.data() + text.size();
  const auto stage = std::from_chars(text.data(), end, action.stage);
  if (stage.ec != std::errc() || stage.ptr == end || action.stage < 0) return std::nullopt;
  const auto kind = kind_of(*stage.ptr);
  const auto micro_batch = std::from_chars(stage.ptr + 1, end, action.micro_batch);
  if (!kind || micro_batch.ec != std::errc() || micro_batch.ptr != end || action.micro_batch < 0) return std::nullopt;
  action.kind = *kind;
  return action;
}

bool is_of_another_runtime(std::string_view text) {
  return text.ends_with("REDUCE_GRAD") || text.ends_with("UNSHARD") || text.ends_with("RESHARD");
}

}  // namespace

std::string cell(const Action& action) {
  return fmt::format("{}{}{}", action.stage, letter(action.kind), action.micro_batch);
}

std::string to_csv(const std::vector<nn::Actions>& schedule) {
  const Replay at = replay(schedule);
  std::string text;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank) {
    std::vector<std::string> cells(static_cast<std::size_t>(at.end));
    for (std::size_t k = 0; k < schedule[rank].size(); ++k)
      cells[static_cast<std::size_t>(at.start[rank][k])] = cell(schedule[rank][k]);
    for (std::size_t c = 0; c < cells.size(); ++c) text += (c == 0 ? "" : ",") + cells[c];
    text += "\n";
  }
  return text;
}

std::vector<nn::Actions> read_csv(std::string_view text, const std::string& name) {
  std::vector<nn::Actions> schedule;
  for (int row = 1; !text.empty(); ++row) {
    std::string_view line = take(text, '\n');
    nn::Actions actions;
    while (!line.empty()) {
      const std::string_view word = trimmed(take(line, ','));
      if (word.empty() || is_of_another_runtime(word)) continue;
      const auto action = action_of(word);
      if (!action)
        refuse<UsageError>(fmt::format("{}:{}", name, row), printable(word),
                           "cells of a stage, F, B, I or W and a micro-batch, as in 0F3");
      actions.push_back(*action);
    }
    schedule.push_back(std::move(actions));
  }
  if (schedule.empty()) refuse<UsageError>(name, "no row", "a row of cells for each rank");
  return schedule;
}

std::string draw(const std::vector<nn::Actions>& schedule, const PassTimes& times) {
  const Replay at = replay(schedule, times);
  std::size_t widest = 0;
  for (const nn::Actions& actions : schedule)
    for (const Action& action : actions) widest = std::max(widest, cell(action).size());
  const double columns_of_unit = static_cast<double>(widest) + 1;
  std::string text;
  for (std::size_t rank = 0; rank < schedule.size(); ++rank) {
    std::string line(static_cast<std::size_t>(std::ceil(at.end * columns_of_unit)), '.');
    for (std::size_t k = 0; k < schedule[rank].size(); ++k) {
      const Action& action = schedule[rank][k];
      const auto column = [&](double time) { return static_cast<std::size_t>(std::llround(time * columns_of_unit)); };
      const std::size_t from = column(at.start[rank][k]), to = column(at.start[rank][k] + times.of(action.kind));
      if (to <= from) continue;
      std::string box = cell(action).substr(0, to - from);
      box.resize(to - from, ' ');
      line.replace(from, to - from, box);
    }
    text += fmt::format("rank {:<3} |{}|\n", rank, line);
  }
  return text;
}

}  // namespace partita::parallel
