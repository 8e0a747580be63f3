// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/compute_times.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>
#include <partita/core/random.hpp>
#include <partita/core/text_file.hpp>

namespace partita::parallel::server {
namespace {

bool is_list(ComputeTime kind) { return kind == ComputeTime::trace || kind == ComputeTime::calibrated; }

Stream stream_of(int worker) { return substream(Stream::compute_time, static_cast<std::uint64_t>(worker)); }

}  // namespace

ComputeTimes::ComputeTimes(ComputeTimeOptions options, std::uint64_t seed) : options_(std::move(options)), seed_(seed) {
  const auto refuse_it = [](const char* what, double given, const char* expected) {
    refuse<UsageError>("ComputeTimes", fmt::format("{} = {}", what, given), expected);
  };
  const bool shifted = options_.kind == ComputeTime::shifted_exponential || options_.kind == ComputeTime::uniform;
  if (!(options_.mean_s > 0) || std::isinf(options_.mean_s)) refuse_it("mean", options_.mean_s, "above 0 s");
  if (shifted && !(options_.shift_s >= 0 && options_.shift_s <= options_.mean_s))
    refuse_it("shift", options_.shift_s, "0 to the mean, of which it is a part");
  const bool endless = std::isinf(options_.shape);
  if (options_.kind == ComputeTime::pareto && (!(options_.shape > 1) || endless))
    refuse_it("shape", options_.shape, "above 1: else there is no mean");
  if (options_.kind == ComputeTime::lognormal && (!(options_.shape >= 0) || endless))
    refuse_it("shape", options_.shape, "at least 0");
  if (!is_list(options_.kind)) return;
  if (options_.trace.empty()) refuse<UsageError>("ComputeTimes", "a list without a time", "at least one");
  for (const double time : options_.trace)
    if (!(time > 0) || std::isinf(time)) refuse_it("time", time, "above 0 s");
  if (!options_.scale_trace) return;
  scale_ = options_.mean_s * static_cast<double>(options_.trace.size()) /
           std::accumulate(options_.trace.begin(), options_.trace.end(), 0.0);
  // The sum of the largest times is infinite, and so may be what the smallest are multiplied with.
  for (const double time : options_.trace)
    if (!(scale_ * time > 0) || std::isinf(scale_ * time))
      refuse_it("time", time, "a list with a mean to be scaled to");
}

double ComputeTimes::draw(int worker, index_t n) const {
  const double mean = options_.mean_s, shift = options_.shift_s, shape = options_.shape;
  const auto index = static_cast<std::uint64_t>(n);
  const auto u = [&] { return 1.0 - uniform(seed_, stream_of(worker), index); };  // (0, 1]
  switch (options_.kind) {
    case ComputeTime::constant:
      return mean;
    case ComputeTime::exponential:
      return -mean * std::log(u());
    case ComputeTime::shifted_exponential:
      return shift - (mean - shift) * std::log(u());
    case ComputeTime::lognormal:
      return mean * std::exp(shape * normal(seed_, stream_of(worker), index) - 0.5 * shape * shape);
    case ComputeTime::pareto:
      return mean * (1 - 1 / shape) * std::pow(u(), -1 / shape);
    case ComputeTime::uniform:
      return shift + 2 * (mean - shift) * u();
    case ComputeTime::trace:
    case ComputeTime::calibrated:
      break;
  }
  const std::uint64_t size = options_.trace.size();
  const std::uint64_t first = random_bits(seed_, Stream::compute_time, static_cast<std::uint64_t>(worker)) % size;
  return scale_ * options_.trace[(first + index) % size];
}

std::vector<double> read_trace(const std::string& path) {
  std::istringstream text(read_text_file(path, "a file of times in seconds, one a line"));
  std::vector<double> times;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    line.resize(std::min(line.find('#'), line.size()));
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) continue;
    const std::string word = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    double time = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), time);
    if (error != std::errc() || end != word.data() + word.size() || !(time > 0) || std::isinf(time))
      refuse<UsageError>(fmt::format("{}:{}", path, number), fmt::format("\"{}\"", printable(word)),
                         "a time above 0, in seconds; # begins a comment");
    times.push_back(time);
  }
  if (times.empty()) refuse<UsageError>(path, "it has no time", "times in seconds, one a line");
  return times;
}

}  // namespace partita::parallel::server
