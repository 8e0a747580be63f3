// SPDX-License-Identifier: BSD-3-Clause
#include <partita/metrics/table.hpp>

#include <numeric>
#include <utility>

#include <partita/metrics/phase.hpp>

namespace partita::metrics {

const char* to_string(PhaseClass cls) {
  switch (cls) {
    case PhaseClass::compute:
      return "compute";
    case PhaseClass::communication:
      return "communication";
    case PhaseClass::wait:
      return "wait";
    case PhaseClass::input:
      return "input";
    case PhaseClass::other:
      break;
  }
  return "other";
}

Column index_scale(std::string name, std::int64_t n, std::string long_name, std::int64_t first) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return {name, {name}, std::move(values), {{"long_name", std::move(long_name)}, {"units", "1"}}};
}

Column name_scale(std::string name, std::vector<std::string> names, std::string long_name) {
  return {name, {name}, std::move(names), {{"long_name", std::move(long_name)}}};
}

std::size_t size(const ColumnData& data) {
  return std::visit([](const auto& values) { return values.size(); }, data);
}

}  // namespace partita::metrics
