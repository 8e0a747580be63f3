// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/allreduce.hpp>

#include <string>

namespace partita::parallel {

template <class Scalar>
AllreduceExchange<Scalar>::AllreduceExchange(const comm::Communicator& axis, comm::Allreduce how, bool separate_wait,
                                             ConstVector<Scalar> parameters, const nn::FlatGradientSum<Real>& sum,
                                             const nn::Division& division)
    : axis_(axis), separate_wait_(separate_wait), weights_(parameters), sum_(sum) {
  if (division.leaves == 0)
    plan_ = std::make_unique<comm::AllreducePlan<Real>>(axis, how, sum.size());
  else
    tree_plan_ = std::make_unique<comm::TreeAllreducePlan<Real>>(axis, how, sum.size(), division.leaves);
}

template <class Scalar>
void AllreduceExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  if (separate_wait_ && axis_.size() > 1) {
    observer.before({.part = nn::Part::wait}, {}, exec);
    static const std::string ready = "partita::parallel::AllreduceExchange: my gradient is ready";  // made once
    exec.fence(ready);
    axis_.barrier();
    observer.after({.part = nn::Part::wait}, {}, exec);
  }
  if (tree_plan_)
    tree_plan_->run(exec, sum_.all_nodes());
  else
    plan_->run(exec, sum_.node(0));
}

template <class Scalar>
ConstVector<nn::Sum<Scalar>> AllreduceExchange<Scalar>::summed() const {
  return tree_plan_ ? ConstVector<Real>(tree_plan_->result()) : ConstVector<Real>(sum_.node(0));
}

template class AllreduceExchange<float>;
template class AllreduceExchange<double>;
template class AllreduceExchange<bfloat16>;
template class AllreduceExchange<float16>;

}  // namespace partita::parallel
