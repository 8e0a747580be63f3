// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_profile.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <variant>

#include <partita/core/error.hpp>

namespace partita::training {
namespace {

bool are_positive(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return x > 0 && std::isfinite(x); });
}

bool is_axis(const std::vector<double>& values) {
  return !values.empty() && are_positive(values) && std::is_sorted(values.begin(), values.end());
}

// Where x is on an axis: the points at both sides, and their weights. Beyond the axis the next point, times x / point.
struct Place {
  std::size_t below, above;
  double of_below, of_above;
};

Place place(const std::vector<double>& axis, double x) {
  if (x <= axis.front()) return {0, 0, x / axis.front(), 0};
  if (x >= axis.back()) return {axis.size() - 1, axis.size() - 1, x / axis.back(), 0};
  const auto above = static_cast<std::size_t>(std::upper_bound(axis.begin(), axis.end(), x) - axis.begin());
  const double share = (x - axis[above - 1]) / (axis[above] - axis[above - 1]);
  return {above - 1, above, 1 - share, share};
}

}  // namespace

double ServerProfile::gradient_s_of(double flop, double with_rows) const {
  const Place width = place(flop_per_row, flop), row = place(rows, with_rows);
  const auto at = [&](std::size_t w, std::size_t r) { return gradient_s[w * rows.size() + r]; };
  return width.of_below * (row.of_below * at(width.below, row.below) + row.of_above * at(width.below, row.above)) +
         width.of_above * (row.of_below * at(width.above, row.below) + row.of_above * at(width.above, row.above));
}

double ServerProfile::message_s_of(double of_bytes) const {
  const Place size = place(bytes, of_bytes);
  return size.of_below * message_s[size.below] + size.of_above * message_s[size.above];
}

metrics::Table profile_table(const ServerProfile& profile) {
  metrics::Table table{.group = "/profile"};
  const auto scale = [](const char* name, const std::vector<double>& values, const char* long_name,
                        const char* units = "1") {
    return metrics::Column{name, {name}, values, {{"long_name", long_name}, {"units", units}}};
  };
  table.scales = {
      scale("flop_per_row", profile.flop_per_row, "floating-point operations of a gradient for each of its samples"),
      scale("rows", profile.rows, "samples of a gradient"),
      scale("message_bytes", profile.bytes, "of weights, or of their gradient", "byte")};
  table.columns = {{"gradient_s",
                    {"flop_per_row", "rows"},
                    profile.gradient_s,
                    {{"long_name", "median time of a worker's gradient, ahead of the first step"}, {"units", "s"}}},
                   {"message_s",
                    {"message_bytes"},
                    profile.message_s,
                    {{"long_name", "median one-way time between worker and server, there"}, {"units", "s"}}}};
  return table;
}

ServerProfile read_profile(const io::File& record) {
  const auto read = [&](const char* name) { return std::get<std::vector<double>>(record.read(name)); };
  ServerProfile profile{read("/profile/flop_per_row"), read("/profile/rows"), read("/profile/gradient_s"),
                        read("/profile/message_bytes"), read("/profile/message_s")};
  if (profile.gradient_s.size() != profile.flop_per_row.size() * profile.rows.size() ||
      profile.bytes.size() != profile.message_s.size())
    refuse<Error>("/profile", "columns that do not fit their scales", "what server.profile = true writes");
  for (const auto* axis : {&profile.flop_per_row, &profile.rows, &profile.bytes})
    if (!is_axis(*axis)) refuse<Error>("/profile", "a scale that does not ascend from above 0", "one that does");
  for (const auto* times : {&profile.gradient_s, &profile.message_s})
    if (!are_positive(*times)) refuse<Error>("/profile", "a time that is none", "times above 0 s");
  return profile;
}

}  // namespace partita::training
