// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/dirichlet.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace partita::data {

double log_gamma_draw(Draws& draws, double a) {
  // g(a) = g(a + 1) U^(1/a) with U uniform in (0, 1].
  if (a < 1) {
    const double log_larger = log_gamma_draw(draws, a + 1);
    return log_larger + std::log(1 - draws.uniform()) / a;
  }
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = draws.normal();
    const double log_u = std::log(1 - draws.uniform());
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root, log_v = 3 * std::log(root);
    if (log_u < 0.5 * x * x + d - d * v + d * log_v) return std::log(d) + log_v;
  }
}

std::vector<double> log_dirichlet_draw(Draws& draws, std::span<const double> a) {
  std::vector<double> log_q(a.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t k = 0; k < a.size(); ++k)
    if (a[k] > 0) log_q[k] = log_gamma_draw(draws, a[k]);
  const double largest = *std::max_element(log_q.begin(), log_q.end());
  for (double& each : log_q) each -= largest;
  return log_q;
}

}  // namespace partita::data
