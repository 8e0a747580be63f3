// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/progress_line.hpp>

#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/driver/terminal.hpp>

namespace partita::driver {

ProgressLine::ProgressLine(bool speaks, index_t first, index_t steps, index_t samples_per_step)
    : speaks_(speaks),
      terminal_(speaks && output_is_watched()),
      first_(first),
      steps_(steps),
      samples_per_step_(samples_per_step),
      start_ns_(now_ns()),
      said_ns_(start_ns_),
      said_done_(first) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::clear() const {
  if (speaks_ && terminal_) say("\r\x1b[K");
}

void ProgressLine::update(index_t done, double loss) {
  constexpr double log_interval_s = 5;
  const std::int64_t now = now_ns();
  const double interval_s = seconds(now - said_ns_);
  if (!speaks_ || done == said_done_ || (!terminal_ && interval_s < log_interval_s && done < steps_)) return;

  const double rate = static_cast<double>((done - said_done_) * samples_per_step_) / interval_s;
  const double left_s =
      seconds(now - start_ns_) / static_cast<double>(done - first_) * static_cast<double>(steps_ - done);
  say(fmt::format("{}step {:>{}}/{}   loss {:.4f}   {:>9.0f} samples/s   {:>4.0f} s left{}",
                  terminal_ ? "\r\x1b[K" : "", done, fmt::formatted_size("{}", steps_), steps_, loss, rate, left_s,
                  terminal_ ? "" : "\n"));
  said_ns_ = now;
  said_done_ = done;
}

void ProgressLine::evaluated(index_t done, double loss, double accuracy) {
  if (!speaks_) return;
  clear();
  say(fmt::format("step {:>{}}/{}   held-out loss {:.4f}   accuracy {:.2f} %\n", done,
                  fmt::formatted_size("{}", steps_), steps_, loss, 100 * accuracy));
}

}  // namespace partita::driver
