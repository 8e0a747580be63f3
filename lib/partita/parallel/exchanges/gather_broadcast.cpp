// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/gather_broadcast.hpp>

#include <vector>

#include <partita/parallel/buffers.hpp>
#include <partita/parallel/separate_wait.hpp>

namespace partita::parallel {
namespace {

constexpr int root = 0;

}  // namespace

template <class Scalar>
GatherBroadcastExchange<Scalar>::GatherBroadcastExchange(const comm::Communicator& axis, comm::Allreduce how,
                                                         bool separate_wait, nn::Model<Scalar>& model,
                                                         const nn::FlatGradientSum<Real>& sum,
                                                         const nn::Division& division)
    : axis_(axis),
      separate_wait_(separate_wait),
      parameters_(model.parameters()),
      weights_(ConstVector<Scalar>(model.parameters())),
      sum_(sum),
      tail_{model.table().size(), model.statistics_table().size()},
      complete_(Cuts({0, sum.size()})),
      broadcast_(axis, comm::via(how), model.table().size(), root) {
  const index_t n = sum.size(), statistics = model.statistics_table().size();
  if (division.leaves > 0) {
    tree_sum_ = make_buffer<Real>("partita::parallel::GatherBroadcastExchange::sum", n);
    tree_ = std::make_unique<comm::TreeReduceScatterPlan<Real>>(axis, how, comm::TreeNodes{n, division.leaves},
                                                                comm::Segments::on(root, n, axis.size()));
  } else {
    reduce_ = std::make_unique<comm::ReducePlan<Real>>(axis, comm::Reduction::central, n, root);
  }
  if (statistics > 0)
    statistics_plan_ = std::make_unique<comm::BroadcastPlan<Real>>(axis, comm::via(how), statistics, root);
}

template <class Scalar>
nn::Ownership GatherBroadcastExchange<Scalar>::ownership(const nn::Model<Scalar>& model) const {
  return axis_.is_root(root) ? nn::everything(model.table()) : nn::Ownership{};
}

template <class Scalar>
void GatherBroadcastExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  complete_.require_all();
  complete_.restart();
  if (separate_wait_) parallel::separate_wait(axis_, exec, observer);
  if (tree_)
    tree_->run(exec, sum_.all_nodes(), axis_.is_root(root) ? tree_sum_ : Vector<Real>());
  else
    reduce_->run(exec, sum_.node(0));
  if (statistics_plan_) statistics_plan_->run(exec, part(summed(), tail_));
}

template <class Scalar>
void GatherBroadcastExchange<Scalar>::publish(const Exec& exec, nn::Observer& observer) {
  const nn::Moment moment{.part = nn::Part::exchange,
                          .bytes = static_cast<index_t>(parameters_.extent(0) * sizeof(Scalar))};
  observer.before(moment, {}, exec);
  broadcast_.run(exec, parameters_);
  observer.after(moment, {}, exec);
}

nn::CompleteSquares squares_of_root(const comm::Communicator& axis, index_t cells) {
  const auto plan = std::make_shared<comm::BroadcastPlan<double>>(axis, comm::Via::own, cells, root);
  return [plan](const Exec& exec, Vector<double> squares) -> ConstVector<double> {
    plan->run(exec, squares);
    return squares;
  };
}

template class GatherBroadcastExchange<float>;
template class GatherBroadcastExchange<double>;
template class GatherBroadcastExchange<bfloat16>;
template class GatherBroadcastExchange<float16>;

}  // namespace partita::parallel
