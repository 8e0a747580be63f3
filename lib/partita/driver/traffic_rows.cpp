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
  double seconds, expected_bytes, predicted_s;
};

constexpr char separator = '\n';  // of the three names of an entry

std::string key_of(const comm::TrafficEntry& entry) {
  return entry.operation + separator + entry.algorithm + separator + entry.axis;
}

metrics::TrafficRow empty_row(const std::string& key, std::size_t ranks) {
  const auto first = key.find(separator);
  const auto second = key.find(separator, first + 1);
  metrics::TrafficRow row;
  row.operation = key.substr(0, first);
  row.algorithm = key.substr(first + 1, second - first - 1);
  row.axis = key.substr(second + 1);
  row.calls.assign(ranks, 0);
  row.messages.assign(ranks, 0);
  row.sent_bytes.assign(ranks, 0);
  row.seconds.assign(ranks, 0);
  row.expected_bytes.assign(ranks, 0);
  row.predicted_s = 0;
  return row;
}

double value_of(const std::vector<metrics::CalibrationEntry>& calibration, const std::string& name) {
  for (const metrics::CalibrationEntry& entry : calibration)
    if (entry.name == name) return entry.value;
  return metrics::not_a_number;
}

double predict(const metrics::TrafficRow& row, const std::vector<metrics::CalibrationEntry>& calibration) {
  if (row.calls.size() < 2) return metrics::not_a_number;
  const auto most = [](const std::vector<std::int64_t>& of) {
    return static_cast<double>(*std::max_element(of.begin(), of.end()));
  };
  double messages = most(row.messages);
  double bytes = most(row.sent_bytes);
  if (row.operation == "allreduce" && row.algorithm == "mpi") {
    const auto P = static_cast<double>(row.calls.size());
    messages = most(row.calls) * 2 * std::ceil(std::log2(P));
    bytes *= 2 * (P - 1) / P;
  }
  return messages * value_of(calibration, "ping_pong_latency_s") +
         bytes / value_of(calibration, "ping_pong_byte_per_s");
}

}  // namespace

std::vector<metrics::TrafficRow> collect_traffic(const comm::Communicator& world, const comm::Traffic& traffic,
                                                 const std::vector<metrics::CalibrationEntry>& calibration) {
  std::vector<std::string> keys;
  std::vector<Counts> mine;
  for (const comm::TrafficEntry& entry : traffic.entries()) {
    keys.push_back(key_of(entry));
    mine.push_back(
        {entry.calls, entry.messages, entry.sent_bytes, entry.seconds, entry.expected_bytes, entry.predicted_s});
  }
  const NameUnion all = gather_names(world, keys);
  const std::vector<Counts> counts = world.gather(std::span<const Counts>(mine));

  const std::size_t ranks = all.place.size();
  std::vector<metrics::TrafficRow> rows;
  for (const std::string& key : all.names) rows.push_back(empty_row(key, ranks));
  auto next = counts.begin();
  for (std::size_t r = 0; r < ranks; ++r) {
    for (const index_t place : all.place[r]) {
      metrics::TrafficRow& row = rows[static_cast<std::size_t>(place)];
      row.calls[r] = next->calls;
      row.messages[r] = next->messages;
      row.sent_bytes[r] = next->sent_bytes;
      row.seconds[r] = next->seconds;
      row.expected_bytes[r] = next->expected_bytes;
      row.predicted_s = std::max(row.predicted_s, next->predicted_s);
      ++next;
    }
  }
  for (metrics::TrafficRow& row : rows)
    if (!(row.predicted_s > 0)) row.predicted_s = predict(row, calibration);
  return rows;
}

}  // namespace partita::driver
