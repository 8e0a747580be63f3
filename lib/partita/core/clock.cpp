// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/clock.hpp>

#include <time.h>

namespace partita {
namespace {

std::int64_t read_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

std::int64_t now_ns() { return read_ns(CLOCK_MONOTONIC); }

std::int64_t unix_ns() { return read_ns(CLOCK_REALTIME); }

std::string utc(std::int64_t instant_ns) {
  const time_t whole_s = static_cast<time_t>(instant_ns / 1'000'000'000);
  tm parts{};
  gmtime_r(&whole_s, &parts);
  char text[32];
  const std::size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

std::string utc_now() { return utc(unix_ns()); }

}  // namespace partita
