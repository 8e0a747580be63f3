// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cast.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/nn/units/groupnorm.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
GroupNorm<Scalar>::GroupNorm(ParameterTable& table, std::string name, index_t pixels, index_t C,
                             const kernels::GroupnormOptions& options)
    : name_(std::move(name)), pixels_(pixels), C_(C), options_(options) {
  ranges_[0] = table.add(name_ + ".weight", {whole(C)}, Initial::constant(1));
  ranges_[1] = table.add(name_ + ".bias", {whole(C)}, Initial::constant(0));
}

template <class Scalar>
double GroupNorm<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::groupnorm_forward(options_, B, pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
double GroupNorm<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::groupnorm_backward_input(options_, B, pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
double GroupNorm<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::groupnorm_backward_weights(options_, B, pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
typename GroupNorm<Scalar>::Saved GroupNorm<Scalar>::cut(Cutter& cutter, index_t B) const {
  Saved saved;
  saved.mean = cutter.matrix<State<Scalar>>(B, options_.groups);
  saved.rstd = cutter.matrix<State<Scalar>>(B, options_.groups);
  saved.dgamma = cutter.vector<State<Scalar>>(C_);
  saved.dbeta = cutter.vector<State<Scalar>>(C_);
  return saved;
}

template <class Scalar>
std::size_t GroupNorm<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  cut(cutter, B);
  return cutter.used();
}

template <class Scalar>
void GroupNorm<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                                std::byte* block) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(y.extent(0)));
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  const ConstVector<Scalar> beta(call.parameters.data() + ranges_[1].offset, C_);
  kernels::groupnorm_forward<Scalar>(call.context, options_, x, gamma, beta, y, saved.mean, saved.rstd);
}

template <class Scalar>
void GroupNorm<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                       std::byte* block, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(dy.extent(0)));
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  kernels::groupnorm_backward_input<Scalar>(call.context, options_, x, gamma, saved.mean, saved.rstd, dy, dx);
}

template <class Scalar>
void GroupNorm<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* block,
                                         ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(dy.extent(0)));
  kernels::groupnorm_backward_weights<Scalar>(call.context, options_, x, saved.mean, saved.rstd, dy, saved.dgamma,
                                              saved.dbeta);
  const Exec& exec = call.context.exec();
  kernels::cast<Scalar, State<Scalar>>(exec, saved.dgamma, Vector<Scalar>(gradients.data() + ranges_[0].offset, C_));
  kernels::cast<Scalar, State<Scalar>>(exec, saved.dbeta, Vector<Scalar>(gradients.data() + ranges_[1].offset, C_));
}

template class GroupNorm<float>;
template class GroupNorm<double>;
template class GroupNorm<bfloat16>;
template class GroupNorm<float16>;

}  // namespace partita::nn
