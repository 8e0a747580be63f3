// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/spatial/counted_once.hpp>

#include <utility>

#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {

template <class Scalar>
CountedOnce<Scalar>::CountedOnce(std::unique_ptr<nn::Unit<Scalar>> unit, bool counts)
    : nn::Unit<Scalar>(unit->name(), unit->inputs(), unit->outputs()), unit_(std::move(unit)), counts_(counts) {
  this->set_tag(unit_->tag());
  for (const Range& range : unit_->ranges()) this->own(range);
}

template <class Scalar>
void CountedOnce<Scalar>::backward_weights(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                           ConstMatrix<Scalar> dy) const {
  if (counts_) return unit_->backward_weights_untold(call, x, dy);
  if (call.gradients->store == kernels::Store::accumulate) return;
  for (const Range& range : this->ranges())
    kernels::fill<nn::Sum<Scalar>>(call.context.exec(), 0, call.gradients->vector(range));
}

template class CountedOnce<float>;
template class CountedOnce<double>;
template class CountedOnce<bfloat16>;
template class CountedOnce<float16>;

}  // namespace partita::parallel
