// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <partita/metrics/record.hpp>

// What driver/calibration.hpp keeps of a machine in a file of the cache, as JSON.

namespace partita::driver {

/// The entries of such a file. None where it is another machine's (its key differs); nullopt where it is damaged: what
/// a name, a unit and a number above 0 (a rate), or from 0 on, must be is looked at for each entry.
std::optional<std::vector<metrics::CalibrationEntry>> read_calibration(std::string_view json, const std::string& key);

/// The reverse.
std::string write_calibration(const std::string& key, const std::string& measured_utc,
                              const std::vector<metrics::CalibrationEntry>& entries);

}  // namespace partita::driver
