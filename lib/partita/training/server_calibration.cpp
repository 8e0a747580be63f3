// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_calibration.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::training {
namespace {

constexpr int server_rank = 0, worker_rank = 1;

template <class T>
std::vector<T> read(const io::File& record, const char* name) {
  return std::get<std::vector<T>>(record.read(name));
}

// Of a column that may be empty; above 0, or what follows from it is no number.
double first_above_0(const io::File& record, const char* name) {
  const auto values = read<std::int64_t>(record, name);
  if (values.empty() || values.front() <= 0) refuse<Error>(name, "no number above 0", "one");
  return static_cast<double>(values.front());
}

void require_seconds(const char* what, double value) {
  if (!(value >= 0) || std::isinf(value)) refuse<Error>(what, fmt::format("{} s", value), "a time from 0 s on");
}

// Seconds of the phases of timed steps.
class Phases {
 public:
  explicit Phases(const io::File& record)
      : names_(read<std::string>(record, "/phase")),
        seconds_(read<double>(record, "/steps/phase_s")),
        warmup_(read<std::int8_t>(record, "/steps/warmup")),
        written_(static_cast<std::size_t>(first_above_0(record, "/steps_written"))) {}

  std::vector<double> of(int rank, const char* phase) const {
    const std::size_t ranks = 2, phases = names_.size();
    const auto p = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), phase) - names_.begin());
    if (p == phases) refuse<Error>("/phase", fmt::format("it has no {}", phase), "the phases of a server");
    std::vector<double> values;
    for (std::size_t s = 0; s < written_; ++s)
      if (warmup_.at(s) == 0) values.push_back(seconds_.at((s * ranks + static_cast<std::size_t>(rank)) * phases + p));
    return values;
  }

 private:
  std::vector<std::string> names_;
  std::vector<double> seconds_;
  std::vector<std::int8_t> warmup_;
  std::size_t written_;
};

// 0 where the run was not calibrated.
double latency_of(const io::File& record) {
  const auto names = read<std::string>(record, "/calibration/quantity");
  const auto values = read<double>(record, "/calibration/value");
  const auto found = std::find(names.begin(), names.end(), "ping_pong_latency_s");
  return found == names.end() ? 0 : values.at(static_cast<std::size_t>(found - names.begin()));
}

ServerCalibration read_open(const io::File& record) {
  ServerCalibration of;
  of.profile = read_profile(record);
  const Phases phases(record);
  of.compute_s = phases.of(worker_rank, "compute");
  of.update_s = metrics::median(phases.of(server_rank, "update"));
  const double waits_s =
      metrics::median(phases.of(worker_rank, "pull")) + metrics::median(phases.of(worker_rank, "push"));
  of.message_s = std::max(0.0, waits_s - of.update_s) / 2;
  of.latency_s = latency_of(record);
  of.bytes = first_above_0(record, "/strategy/keys") * double{sizeof(float)};
  of.rows = first_above_0(record, "/steps/samples");
  of.flop_per_row = std::get<double>(record.read_attribute("/", "flop_per_step")) / of.rows;
  require_seconds("update", of.update_s);
  require_seconds("pull and push", waits_s);
  require_seconds("ping_pong_latency_s", of.latency_s);
  if (!(of.flop_per_row > 0) || std::isinf(of.flop_per_row)) refuse<Error>("flop_per_step", "no number above 0", "one");
  return of;
}

}  // namespace

double ServerCalibration::mean_s(double flop, double with_rows) const {
  const double mean = std::accumulate(compute_s.begin(), compute_s.end(), 0.0) / static_cast<double>(compute_s.size());
  return mean * profile.gradient_s_of(flop, with_rows) / profile.gradient_s_of(flop_per_row, rows);
}

parallel::server::NetworkOptions ServerCalibration::network(double of_bytes) const {
  const double one_way_s = message_s * profile.message_s_of(of_bytes) / profile.message_s_of(bytes);
  parallel::server::NetworkOptions network;
  network.update_s_per_byte = update_s / bytes;
  network.latency_s = std::min(latency_s, one_way_s / 2);
  if (one_way_s > 0) network.byte_per_s = of_bytes / (one_way_s - network.latency_s);
  return network;
}

ServerCalibration read_server_calibration(const std::string& path) {
  constexpr const char* expected =
      "a record of param_server on 2 ranks, one server and one worker, with server.profile = true";
  ServerCalibration of;
  try {
    const io::File record = io::File::open(path);
    if (!record.exists("/profile")) refuse<UsageError>(path, "it has no /profile", expected);
    of = read_open(record);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    refuse<UsageError>(path, fmt::format("it cannot be read ({})", error.what()), expected);
  } catch (const std::exception&) {  // a column of another type, or too short
    refuse<UsageError>(path, "its tables are not those of a record", expected);
  }
  std::erase_if(of.compute_s, [](double s) { return !(s > 0) || std::isinf(s); });
  if (of.compute_s.empty()) refuse<UsageError>(path, "no step that counts", "a run of more steps than run.warmup");
  return of;
}

}  // namespace partita::training
