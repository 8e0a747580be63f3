// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/calibration_cache.hpp>

#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include <partita/core/printable.hpp>

namespace partita::driver {
namespace {

using Json = nlohmann::json;

bool is_sound(const metrics::CalibrationEntry& entry) {
  for (const std::string* text : {&entry.name, &entry.unit, &entry.long_name})
    if (text->empty() || printable(*text) != *text) return false;
  const bool rate = entry.name.ends_with("_per_s");
  return std::isfinite(entry.value) && (rate ? entry.value > 0 : entry.value >= 0);
}

}  // namespace

std::optional<std::vector<metrics::CalibrationEntry>> read_calibration(std::string_view json, const std::string& key) {
  std::vector<metrics::CalibrationEntry> entries;
  try {
    const Json file = Json::parse(json);
    if (file.at("key").get<std::string>() != key) return entries;
    std::set<std::string> names;
    for (const Json& each : file.at("entries")) {
      metrics::CalibrationEntry entry{each.at("name").get<std::string>(), 0, each.at("unit").get<std::string>(),
                                      each.at("long_name").get<std::string>()};
      const Json& value = each.at("value");
      if (!value.is_number()) return std::nullopt;
      entry.value = value.get<double>();
      if (!is_sound(entry) || !names.insert(entry.name).second) return std::nullopt;
      entries.push_back(std::move(entry));
    }
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  if (entries.empty()) return std::nullopt;
  return entries;
}

std::string write_calibration(const std::string& key, const std::string& measured_utc,
                              const std::vector<metrics::CalibrationEntry>& entries) {
  Json json = {{"key", key}, {"measured_utc", measured_utc}, {"entries", Json::array()}};
  for (const auto& entry : entries)
    json["entries"].push_back(
        {{"name", entry.name}, {"value", entry.value}, {"unit", entry.unit}, {"long_name", entry.long_name}});
  return json.dump(2) + "\n";
}

}  // namespace partita::driver
