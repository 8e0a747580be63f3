// SPDX-License-Identifier: BSD-3-Clause
#include <partita/config/suggestion.hpp>

#include <algorithm>
#include <limits>

namespace partita::config {
namespace {

std::string_view last_component(std::string_view key) { return key.substr(key.rfind('.') + 1); }  // npos + 1 is 0

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: two back, one back, and the one being filled.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replace, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view given, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : candidates) {
    std::size_t distance = edit_distance(given, candidate);
    const std::size_t limit = std::max<std::size_t>(1, std::min(given.size(), candidate.size()) / 4);
    if (last_component(given) == last_component(candidate)) {
      distance = std::min<std::size_t>(distance, 2);  // the right name in the wrong table
    } else if (distance > limit) {
      continue;
    }
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view given, const std::vector<std::string>& candidates) {
  const std::string guess = nearest(given, candidates);
  return guess.empty() ? guess : "; did you mean " + guess + "?";
}

}  // namespace partita::config
