// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/pipeline/balance.hpp>

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::parallel {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();

void require_layers(index_t layers, int stages) {
  if (stages < 1) refuse<UsageError>("balance", fmt::format("{} stages", stages), "at least 1");
  if (layers < stages)
    refuse<UsageError>("balance", fmt::format("{} layers, {} stages", layers, stages), "at least one layer a stage");
}

double largest(std::span<const double> cost, std::span<const index_t> counts) {
  const std::vector<double> costs = stage_costs(cost, counts);
  return *std::max_element(costs.begin(), costs.end());
}

// best(s, i): the least that `worth` makes of the last layers, from i on, in s stages.
class Suffixes {
 public:
  // worth(cost of the first stage, best of the rest) -> to be made small.
  template <class Worth>
  Suffixes(std::span<const double> cost, int stages, const Worth& worth)
      : layers_(cost.size()), best_((static_cast<std::size_t>(stages) + 1) * (layers_ + 1), never) {
    at(0, layers_) = 0;
    for (std::size_t s = 1; s <= static_cast<std::size_t>(stages); ++s)
      for (std::size_t from = 0; from < layers_; ++from) {
        double sum = 0;  // not a difference of prefixes: equal layers have equal sums, wherever they are
        for (std::size_t to = from + 1; to <= layers_; ++to) {
          sum += cost[to - 1];
          at(s, from) = std::min(at(s, from), worth(sum, at(s - 1, to)));
        }
      }
  }
  double& at(std::size_t stages, std::size_t from) { return best_[stages * (layers_ + 1) + from]; }

 private:
  std::size_t layers_;
  std::vector<double> best_;
};

}  // namespace

std::vector<index_t> equal_stages(index_t layers, int stages) {
  require_layers(layers, stages);
  std::vector<index_t> counts;
  for (int stage = 0; stage < stages; ++stage) counts.push_back(partition(layers, stages, stage).extent);
  return counts;
}

std::vector<index_t> balance_stages(std::span<const double> cost, int stages) {
  require_layers(std::ssize(cost), stages);
  const auto all = static_cast<std::size_t>(stages);
  const double most =
      Suffixes(cost, stages, [](double first, double rest) { return std::max(first, rest); }).at(all, 0);
  const auto squares = [most](double first, double rest) { return first > most ? never : first * first + rest; };
  Suffixes best(cost, stages, squares);
  std::vector<index_t> counts;
  std::size_t from = 0;
  for (std::size_t s = all; s > 0; --s) {
    const double enough = best.at(s, from) * (1 + 1e-12);  // squares are added in different orders
    double sum = 0;
    std::size_t to = from;
    do sum += cost[to++];
    while (squares(sum, best.at(s - 1, to)) > enough);
    counts.push_back(static_cast<index_t>(to - from));
    from = to;
  }
  return counts;
}

std::vector<double> stage_costs(std::span<const double> cost, std::span<const index_t> counts) {
  const index_t counted = std::accumulate(counts.begin(), counts.end(), index_t{0});
  if (counted != std::ssize(cost) || counts.empty() || *std::min_element(counts.begin(), counts.end()) < 0)
    refuse<ShapeError>("stage_costs", fmt::format("{} layers in stages, {} have a cost", counted, cost.size()),
                       "stages of all layers");
  std::vector<double> costs;
  for (const index_t count : counts) {
    const auto layers = cost.first(static_cast<std::size_t>(count));
    costs.push_back(std::accumulate(layers.begin(), layers.end(), 0.));
    cost = cost.subspan(layers.size());
  }
  return costs;
}

double imbalance(std::span<const double> cost, std::span<const index_t> counts) {
  const double sum = std::accumulate(cost.begin(), cost.end(), 0.), most = largest(cost, counts);
  return sum > 0 ? most / (sum / static_cast<double>(counts.size())) : 1;
}

double gain_over_equal(std::span<const double> cost, std::span<const index_t> counts) {
  const double most = largest(cost, counts);
  return most > 0 ? largest(cost, equal_stages(std::ssize(cost), static_cast<int>(counts.size()))) / most : 1;
}

}  // namespace partita::parallel
