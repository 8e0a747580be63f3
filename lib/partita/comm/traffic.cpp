// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/traffic.hpp>

#include <algorithm>

namespace partita::comm {

TrafficEntry& Traffic::entry(std::string_view operation, std::string_view algorithm, std::string_view axis) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const TrafficEntry& e) {
    return e.operation == operation && e.algorithm == algorithm && e.axis == axis;
  });
  if (found != entries_.end()) return *found;
  entries_.push_back(
      {.operation = std::string(operation), .algorithm = std::string(algorithm), .axis = std::string(axis)});
  return entries_.back();
}

void Traffic::reset() {
  for (TrafficEntry& e : entries_) {
    e = {.operation = std::move(e.operation), .algorithm = std::move(e.algorithm), .axis = std::move(e.axis)};
  }
}

}  // namespace partita::comm
