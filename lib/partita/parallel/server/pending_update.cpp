// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/pending_update.hpp>

#include <algorithm>

#include <partita/core/tree.hpp>

namespace partita::parallel::server {

template <class Scalar>
GradientShape gradient_shape(const Learner<Scalar>& learner, const Rules& rules, int workers, index_t keys) {
  GradientShape shape{keys, learner.batch(), learner.leaves()};
  if (rules.elastic) shape.leaves = 0;  // what is handed in is no gradient, and one sum
  if (shape.leaves > 0)
    for (int w = 0; w < workers; ++w) shape.covers.push_back(learner.cover(w));
  return shape;
}

void PendingUpdate::add(int worker, index_t samples, index_t staleness, std::span<const double> losses) {
  losses_.emplace_back(worker, std::vector<double>(losses.begin(), losses.end()));
  samples_ += samples;
  staleness_ += staleness;
}

double PendingUpdate::loss(const Rules& rules, index_t labels) {
  if (rules.one_batch())
    std::stable_sort(losses_.begin(), losses_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<double> terms;
  for (const auto& [worker, losses] : losses_) terms.insert(terms.end(), losses.begin(), losses.end());
  return tree_sum(terms) / static_cast<double>(samples_ * labels);
}

template GradientShape gradient_shape(const Learner<float>&, const Rules&, int, index_t);
template GradientShape gradient_shape(const Learner<double>&, const Rules&, int, index_t);

}  // namespace partita::parallel::server
