// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/traffic_rows.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include <partita/driver/by_name.hpp>

namespace partita::driver {
namespace {

// The numbers of an entry, as they travel.
struct Counts {
  index_t calls, messages, sent_bytes;
  double seconds, expected_messages, expected_bytes, predicted_s;
  comm::Work work;
};

constexpr char separator = '\n';  // of the three names of an entry

std::string key_of(const comm::TrafficEntry& entry) {
  return entry.operation + separator + entry.algorithm + separator + entry.axis;
}

metrics::TrafficRow empty_row(const std::string& key, std::size_t ranks) {
  const auto first = key.find(separator);
  const auto second = key.find(separator, first + 1);
  metrics::TrafficRow row;
  row.kind = key.substr(0, first);
  row.algorithm = key.substr(first + 1, second - first - 1);
  row.axis = key.substr(second + 1);
  row.calls.assign(ranks, 0);
  row.messages.assign(ranks, 0);
  row.sent_bytes.assign(ranks, 0);
  row.seconds.assign(ranks, 0);
  row.expected_messages.assign(ranks, 0);
  row.expected_bytes.assign(ranks, 0);
  row.predicted_s = 0;
  return row;
}

double value_of(const std::vector<metrics::CalibrationEntry>& calibration, const std::string& name) {
  for (const metrics::CalibrationEntry& entry : calibration)
    if (entry.name == name) return entry.value;
  return metrics::not_a_number;
}

// Of one rank: what somebody predicted, else by the work of its algorithm, else by what was counted. NaN without
// calibration and at one rank.
double predict(const Counts& counts, std::size_t ranks, const comm::MachineRates& rates) {
  if (counts.predicted_s > 0) return counts.predicted_s;
  if (ranks < 2) return metrics::not_a_number;
  if (counts.work.messages > 0) return comm::predicted_s(counts.work, rates);
  return static_cast<double>(counts.messages) * rates.latency_s +
         static_cast<double>(counts.sent_bytes) / rates.link_byte_per_s;
}

}  // namespace

std::vector<metrics::TrafficRow> collect_traffic(const comm::Communicator& world, const comm::Traffic& traffic,
                                                 const std::vector<metrics::CalibrationEntry>& calibration) {
  std::vector<std::string> keys;
  std::vector<Counts> mine;
  for (const comm::TrafficEntry& entry : traffic.entries()) {
    keys.push_back(key_of(entry));
    mine.push_back({entry.calls, entry.messages, entry.sent_bytes, entry.seconds, entry.expected_messages,
                    entry.expected_bytes, entry.predicted_s, entry.work});
  }
  const NameUnion all = gather_names(world, keys);
  const std::vector<Counts> counts = world.gather(std::span<const Counts>(mine));

  const std::size_t ranks = all.place.size();
  std::vector<metrics::TrafficRow> rows;
  for (const std::string& key : all.names) rows.push_back(empty_row(key, ranks));
  const double shift = value_of(calibration, "shift_byte_per_s");
  const double link = std::isnan(shift) ? value_of(calibration, "ping_pong_byte_per_s") : shift;
  const comm::MachineRates rates{.latency_s = value_of(calibration, "ping_pong_latency_s"),
                                 .link_byte_per_s = link,
                                 .triad_byte_per_s = value_of(calibration, "triad_byte_per_s")};
  auto next = counts.begin();
  for (std::size_t r = 0; r < ranks; ++r) {
    for (const index_t place : all.place[r]) {
      metrics::TrafficRow& row = rows[static_cast<std::size_t>(place)];
      row.calls[r] = next->calls;
      row.messages[r] = next->messages;
      row.sent_bytes[r] = next->sent_bytes;
      row.seconds[r] = next->seconds;
      row.expected_messages[r] = next->expected_messages;
      row.expected_bytes[r] = next->expected_bytes;
      row.predicted_s = std::fmax(row.predicted_s, predict(*next, ranks, rates));
      ++next;
    }
  }
  for (metrics::TrafficRow& row : rows)
    if (!(row.predicted_s > 0)) row.predicted_s = metrics::not_a_number;
  return rows;
}

}  // namespace partita::driver
