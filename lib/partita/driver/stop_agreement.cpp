// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/stop_agreement.hpp>

#include <algorithm>
#include <array>
#include <span>

#include <partita/core/clock.hpp>

namespace partita::driver {

double StopAgreement::look(double seconds) {
  const bool late = world_.is_root() && attendance_.late();
  std::array<double, 3> most{static_cast<double>(attendance_.signal().received()), late ? 1.0 : 0.0, seconds};
  world_.allreduce(std::span<double>(most), comm::Op::max);
  if (!stopped()) reason_ = attendance_.reason(static_cast<int>(most[0]), most[1] > 0);
  return most[2];
}

Looks::Looks(StopAgreement& agreement) : agreement_(agreement), since_ns_(now_ns()) {}

bool Looks::after_pass() {
  constexpr double interval_s = 0.5;
  if (agreement_.stopped()) return true;
  if (++passes_ < next_) return false;
  const auto passes = static_cast<double>(passes_);
  const double pass_s = agreement_.look(seconds(now_ns() - since_ns_) / passes);
  next_ = std::max<index_t>(1, static_cast<index_t>(std::min(interval_s / pass_s, 4 * passes)));
  passes_ = 0;
  since_ns_ = now_ns();
  return agreement_.stopped();
}

}  // namespace partita::driver
