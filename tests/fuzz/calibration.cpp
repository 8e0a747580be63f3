// SPDX-License-Identifier: BSD-3-Clause
// Files of the cache of calibrations.
#include <cmath>

#include <partita/driver/calibration_cache.hpp>

#include "support.hpp"

namespace partita::fuzz {

void calibration(Bytes input) {
  accepted("", [&] {
    const auto entries = driver::read_calibration(text_of(input), "k");
    if (!entries || entries->empty()) return;
    for (const auto& entry : *entries) {
      require_clear("", entry.name + entry.unit + entry.long_name);
      if (!(entry.value >= 0) || std::isinf(entry.value)) report("a value that nothing has", entry.name);
    }
    const auto again = driver::read_calibration(driver::write_calibration("k", "", *entries), "k");
    if (!again || again->size() != entries->size()) report("entries that cannot be read once they are written");
  });
}

}  // namespace partita::fuzz
