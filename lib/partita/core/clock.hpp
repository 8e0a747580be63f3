// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

// The one clock of the suite. clock_gettime and not std::chrono: simulators and tracers intercept the former alone.

namespace partita {

/// Nanoseconds of CLOCK_MONOTONIC: for intervals on this host; the origin means nothing.
std::int64_t now_ns();

/// Nanoseconds since 1970-01-01 00:00 UTC: for instants in records.
std::int64_t unix_ns();

/// An interval in seconds.
constexpr double seconds(std::int64_t interval_ns) { return static_cast<double>(interval_ns) * 1e-9; }

/// An instant of unix_ns() as ISO 8601, "2026-11-21T10:58:30Z".
std::string utc(std::int64_t instant_ns);

/// utc(unix_ns()).
std::string utc_now();

}  // namespace partita
