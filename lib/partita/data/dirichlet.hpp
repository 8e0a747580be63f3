// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/random.hpp>

namespace partita::data {

/// Numbers of one stream, one after the other: for set-up on one thread, where how many are drawn depends on what they
/// are. Where every number has an index of its own, draw by that.
class Draws {
 public:
  Draws(std::uint64_t seed, Stream stream) : seed_(seed), stream_(stream) {}

  std::uint64_t bits() { return random_bits(seed_, stream_, next_++); }
  double uniform() { return partita::uniform(seed_, stream_, next_++); }
  double normal() { return partita::normal(seed_, stream_, next_++); }

 private:
  std::uint64_t seed_;
  Stream stream_;
  std::uint64_t next_ = 0;
};

/// log g of a gamma distributed g of shape a > 0 and scale 1. The logarithm, because g itself underflows for small a.
///
/// Source   Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 2000.
double log_gamma_draw(Draws& draws, double a);

/// log q(k) + constant, with q distributed as Dirichlet(a): gamma draws of shapes a(k); the largest entry is 0. Classes
/// with a(k) = 0 get -infinity.
///
/// Needs    a(k) >= 0, and one of them > 0.
std::vector<double> log_dirichlet_draw(Draws& draws, std::span<const double> a);

}  // namespace partita::data
