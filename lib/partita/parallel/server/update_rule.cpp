// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/update_rule.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

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
