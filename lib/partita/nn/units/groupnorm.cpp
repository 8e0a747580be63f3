// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/groupnorm.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
GroupNorm<Scalar>::GroupNorm(Tables& tables, std::string name, const Image& image, index_t groups)
    : Unit<Scalar>(std::move(name), image.size(), image.size()),
      image_(image),
      options_{.groups = groups, .rows = {.leaves = tables.blocks_of_their_own(image.rows)}} {
  if (groups < 1 || image.channels % groups != 0)
    refuse<UsageError>(this->name(), fmt::format("{} channels in {} groups", image.channels, groups),
                       "a number of groups that divides them");
  gamma_ = this->own(tables.parameters.add(this->name() + ".weight", {image.channels}, Initial::constant(1)));
  beta_ = this->own(tables.parameters.add(this->name() + ".bias", {image.channels}, Initial::constant(0)));
}

template <class Scalar>
PassFlop GroupNorm<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const index_t pixels = image_.pixels(), C = image_.channels;
  return {cost::groupnorm_forward(options_, B, pixels, C, sizeof(Scalar)).flop,
          cost::groupnorm_backward_input(options_, B, pixels, C, sizeof(Scalar)).flop,
          cost::groupnorm_backward_weights(options_, B, pixels, C, sizeof(Scalar)).flop};
}

template <class Scalar>
typename GroupNorm<Scalar>::Saved GroupNorm<Scalar>::cut(Cutter cutter, index_t B) const {
  Saved saved;
  saved.mean = cutter.matrix<Sum<Scalar>>(B, options_.groups);
  saved.rstd = cutter.matrix<Sum<Scalar>>(B, options_.groups);
  return saved;
}

template <class Scalar>
Footprint GroupNorm<Scalar>::footprint(index_t B) const {
  Cutter cutter;
  for (int i = 0; i < 2; ++i) cutter.matrix<Sum<Scalar>>(B, options_.groups);
  return {.saved = cutter.used()};
}

template <class Scalar>
void GroupNorm<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const auto [mean, rstd] = cut(Cutter(call.saved), static_cast<index_t>(y.extent(0)));
  kernels::groupnorm_forward<Scalar>(call.context, options_, x, call.weights.vector(gamma_), call.weights.vector(beta_),
                                     y, mean, rstd);
}

template <class Scalar>
void GroupNorm<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                       Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  const auto [mean, rstd] = cut(Cutter(call.saved), static_cast<index_t>(dy.extent(0)));
  kernels::groupnorm_backward_input<Scalar>(call.context, options_, x, call.weights.vector(gamma_), mean, rstd, dy, dx);
}

template <class Scalar>
void GroupNorm<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x,
                                         ConstMatrix<Scalar> dy) const {
  const auto [mean, rstd] = cut(Cutter(call.saved), static_cast<index_t>(dy.extent(0)));
  kernels::groupnorm_backward_weights<Scalar>(call.context, options_, call.gradients->store, x, mean, rstd, dy,
                                              call.gradients->vector(gamma_), call.gradients->vector(beta_));
}

template class GroupNorm<float>;
template class GroupNorm<double>;
template class GroupNorm<bfloat16>;
template class GroupNorm<float16>;

}  // namespace partita::nn
