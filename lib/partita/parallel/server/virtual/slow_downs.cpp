// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/virtual/slow_downs.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>

namespace partita::parallel::server {
namespace {

double draw(std::uint64_t seed, int worker, index_t n) {
  return uniform(seed, substream(Stream::slow_down, static_cast<std::uint64_t>(worker)), static_cast<std::uint64_t>(n));
}

// Probability that a burst begins after a gradient that was not slow.
double begins(const SlowDownOptions& options) {
  return options.probability / (options.burst * (1 - options.probability));
}

bool finite_from(double least, double value) { return value >= least && std::isfinite(value); }

}  // namespace

double shortest_burst(double probability) {
  if (probability >= 1) return 1;         // one that never ends
  constexpr double rounding = 1 - 1e-12;  // of 1 - probability: 9 is enough for a share of 0.9
  return std::max(1.0, probability / (1 - probability) * rounding);
}

SlowDowns::SlowDowns(const SlowDownOptions& options, std::uint64_t seed, int workers)
    : options_(options), seed_(seed), chains_(static_cast<std::size_t>(workers)) {
  const auto refuse_it = [](const char* what, double given, const char* expected) {
    refuse<UsageError>("SlowDowns", fmt::format("{} = {}", what, given), expected);
  };
  if (!finite_from(1, options.factor)) refuse_it("factor", options.factor, "at least 1");
  if (!(options.probability >= 0 && options.probability <= 1)) refuse_it("probability", options.probability, "0 to 1");
  if (options.workers < 0) refuse_it("workers", options.workers, "at least 0");
  if (options.kind == SlowKind::drifting && !(finite_from(0, options.period_s) && options.period_s > 0))
    refuse_it("period", options.period_s, "above 0 s");
  if (options.kind != SlowKind::bursty) return;
  if (!finite_from(1, options.burst)) refuse_it("burst", options.burst, "at least 1 gradient");
  if (options.burst < shortest_burst(options.probability))
    refuse_it("burst", options.burst, "longer bursts, so that their share can be so large");
}

double SlowDowns::factor(int worker, index_t n, double now_s) {
  if (options_.factor == 1 || (options_.workers > 0 && worker >= options_.workers)) return 1;
  if (options_.kind == SlowKind::drifting) {
    const double phase = draw(seed_, worker, 0);
    const double wave = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * (now_s / options_.period_s + phase));
    return 1 + (options_.factor - 1) * wave;
  }
  const bool slow =
      options_.kind == SlowKind::bursty ? slow_burst(worker, n) : draw(seed_, worker, n) < options_.probability;
  return slow ? options_.factor : 1;
}

bool SlowDowns::slow_burst(int worker, index_t n) {
  Chain& chain = chains_[static_cast<std::size_t>(worker)];
  for (; chain.next <= n; ++chain.next) {
    const double u = draw(seed_, worker, chain.next);
    if (chain.next == 0 || options_.probability == 1)
      chain.slow = u < options_.probability;  // as the chain is after a long time
    else
      chain.slow = chain.slow ? u >= 1 / options_.burst : u < begins(options_);
  }
  return chain.slow;
}

}  // namespace partita::parallel::server
