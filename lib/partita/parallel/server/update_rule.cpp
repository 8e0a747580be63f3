// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/update_rule.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/norm_cells.hpp>

namespace partita::parallel::server {

template <class Scalar>
OptimizerRule<Scalar>::OptimizerRule(const Exec& exec, const nn::UpdateOptions& options, const nn::Model<Scalar>& model,
                                     Range keys, Vector<Scalar> weights, std::function<double(index_t)> rate,
                                     bool by_staleness)
    : rate_(std::move(rate)),
      by_staleness_(by_staleness),
      set_rate_(options.learning_rate),
      squares_(nn::norm_cells(model.table()).size()),
      update_(exec, options, model, {{keys}, nn::Layout::packed, nn::Layout::packed}, weights,
              [this](const Exec&, Vector<double> squares) -> ConstVector<double> {
                device_squares_ = squares;
                return squares;
              }),
      norm_("partita::parallel::OptimizerRule::norm") {}

template <class Scalar>
void OptimizerRule<Scalar>::apply(kernels::Context& context, Vector<nn::Sum<Scalar>> gradient, index_t version,
                                  double staleness) {
  const Exec& exec = context.exec();
  const double rate = rate_(version) / (by_staleness_ ? std::max(staleness, 1.0) : 1.0);
  if (rate != set_rate_) update_.set_learning_rate(exec, set_rate_ = rate);
  update_.run(context, gradient, {}, norm_);
  Kokkos::deep_copy(exec, Kokkos::View<double*, Kokkos::HostSpace>(squares_.data(), squares_.size()), device_squares_);
  exec.fence("partita::parallel::OptimizerRule: the squares of a norm are on the host");
}

template <class Scalar>
void ElasticRule<Scalar>::apply(kernels::Context& context, Vector<nn::Sum<Scalar>> difference, index_t, double) {
  kernels::add<Scalar>(context.exec(), difference, centre_);
}

std::vector<Range> key_ranges(const nn::ParameterTable& table, int servers, std::span<const double> shares) {
  // Shares are cut on a grid of parts that are as even as cells allow.
  constexpr index_t finest = 4096;
  const Range all{0, table.size()};
  std::vector<index_t> cuts;
  if (shares.empty()) {
    cuts = nn::cell_cuts(table, all, servers);
  } else {
    const std::vector<index_t> grid = nn::cell_cuts(table, all, finest);
    double sum = 0, before = 0;
    for (const double share : shares) sum += share;
    cuts.push_back(0);
    for (std::size_t s = 0; s + 1 < shares.size(); ++s) {
      before += shares[s];
      const auto wanted = static_cast<index_t>(std::llround(before / sum * static_cast<double>(all.extent)));
      const auto above = std::lower_bound(grid.begin(), grid.end(), wanted);
      const bool below = above != grid.begin() && wanted - *(above - 1) < *above - wanted;
      cuts.push_back(below ? *(above - 1) : *above);
    }
    cuts.push_back(all.extent);
  }
  std::vector<Range> ranges;
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) ranges.push_back({cuts[s], cuts[s + 1] - cuts[s]});
  if (std::any_of(ranges.begin(), ranges.end(), [](const Range& range) { return range.extent < 1; }))
    refuse<UsageError>("key_ranges", fmt::format("{} servers for {} weights", servers, table.size()),
                       "fewer: a server has at least one block of 4096 weights, or one tensor");
  return ranges;
}

double norm_of_squares(const Exec& exec, std::span<const double> squares) {
  const Vector<double> all("partita::parallel::norm_of_squares", squares.size());
  Kokkos::deep_copy(exec, all, Kokkos::View<const double*, Kokkos::HostSpace>(squares.data(), squares.size()));
  const Kokkos::View<double, Memory> sum("partita::parallel::norm_of_squares::sum");
  kernels::norm_total(exec, all, sum);
  double total = 0;
  Kokkos::deep_copy(exec, Kokkos::View<double, Kokkos::HostSpace>(&total), sum);
  exec.fence("partita::parallel::norm_of_squares");
  return std::sqrt(total);
}

template class OptimizerRule<float>;
template class ElasticRule<float>;
template class OptimizerRule<double>;
template class ElasticRule<double>;

}  // namespace partita::parallel::server
