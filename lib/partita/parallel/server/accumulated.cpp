// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/accumulated.hpp>

#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {

template <class Scalar>
Gradient<Scalar> Accumulated<Scalar>::gradient(int worker, index_t clock, const nn::Window<const Scalar>& weights) {
  losses_.clear();
  Gradient<Scalar> sum;
  for (index_t a = 0; a < A_; ++a) {
    const Gradient<Scalar> next = inner_.gradient(worker, clock * A_ + a, weights);
    const auto n = static_cast<index_t>(next.nodes.extent(0));
    if (static_cast<index_t>(sum_.extent(0)) < n) sum_ = make_buffer<Real>("partita::parallel::Accumulated::sum", n);
    const Vector<Real> to = part(sum_, Range{0, n});
    if (a == 0)
      kernels::copy<Real>(exec_, next.nodes, to);
    else
      kernels::add<Real>(exec_, next.nodes, to);
    losses_.insert(losses_.end(), next.losses.begin(), next.losses.end());
    sum = {to, losses_, sum.samples + next.samples};
  }
  return sum;
}

template class Accumulated<float>;
template class Accumulated<double>;

}  // namespace partita::parallel::server
