// SPDX-License-Identifier: BSD-3-Clause
#include <partita/metrics/record.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::metrics {

void StepRows::check(std::size_t ranks, std::size_t phases) const {
  const auto require = [&](const char* name, std::size_t size, std::size_t expected, const char* shape) {
    if (size != expected) {
      refuse<ShapeError>("StepRows", fmt::format("{} has {} values", name, size),
                         fmt::format("{} = {} (count {}, ranks {}, phases {})", expected, shape, count, ranks, phases));
    }
  };
  if (first_step < 0 || count < 0) {
    refuse<ShapeError>("StepRows", fmt::format("first_step is {}, count {}", first_step, count), "neither below 0");
  }
  const auto n = static_cast<std::size_t>(count);
  require("phase_s", phase_s.size(), n * ranks * phases, "count x ranks x phases");
  require("start_ns", start_ns.size(), n * ranks, "count x ranks");
  require("end_ns", end_ns.size(), n * ranks, "count x ranks");
  require("loss", loss.size(), n, "count");
  require("grad_norm", grad_norm.size(), n, "count");
  require("samples", samples.size(), n, "count");
  require("warmup", warmup.size(), n, "count");
  require("flushed", flushed.size(), n, "count");
}

}  // namespace partita::metrics
