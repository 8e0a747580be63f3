// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cost.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/nn/units/layernorm.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
LayerNorm<Scalar>::LayerNorm(ParameterTable& table, std::string name, index_t tokens, index_t C, double epsilon)
    : name_(std::move(name)), tokens_(tokens), C_(C), epsilon_(epsilon) {
  ranges_[0] = table.add(name_ + ".weight", {whole(C)}, Initial::constant(1));
  ranges_[1] = table.add(name_ + ".bias", {whole(C)}, Initial::constant(0));
}

template <class Scalar>
double LayerNorm<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::layernorm_forward(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
double LayerNorm<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::layernorm_backward_input(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
double LayerNorm<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::layernorm_backward_weights(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
typename LayerNorm<Scalar>::Saved LayerNorm<Scalar>::cut(Cutter& cutter, index_t B) const {
  return {cutter.vector<State<Scalar>>(B * tokens_), cutter.vector<State<Scalar>>(B * tokens_)};
}

template <class Scalar>
std::size_t LayerNorm<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  cut(cutter, B);
  return cutter.used();
}

template <class Scalar>
void LayerNorm<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                                std::byte* block) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(y.extent(0)));
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  const ConstVector<Scalar> beta(call.parameters.data() + ranges_[1].offset, C_);
  kernels::layernorm_forward<Scalar>(call.context.exec(), epsilon_, split_rows(x, C_), gamma, beta, split_rows(y, C_),
                                     saved.mean, saved.rstd);
}

template <class Scalar>
void LayerNorm<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                       std::byte* block, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(dy.extent(0)));
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  kernels::layernorm_backward_input<Scalar>(call.context.exec(), split_rows(x, C_), gamma, saved.mean, saved.rstd,
                                            split_rows(dy, C_), split_rows(dx, C_));
}

template <class Scalar>
void LayerNorm<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* block,
                                         ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  Cutter cutter(block);
  const Saved saved = cut(cutter, static_cast<index_t>(dy.extent(0)));
  const Vector<Scalar> dgamma(gradients.data() + ranges_[0].offset, C_);
  const Vector<Scalar> dbeta(gradients.data() + ranges_[1].offset, C_);
  kernels::layernorm_backward_weights<Scalar>(call.context, split_rows(x, C_), saved.mean, saved.rstd,
                                              split_rows(dy, C_), dgamma, dbeta);
}

template <class Scalar>
RmsNorm<Scalar>::RmsNorm(ParameterTable& table, std::string name, index_t tokens, index_t C, double epsilon)
    : name_(std::move(name)), tokens_(tokens), C_(C), epsilon_(epsilon) {
  ranges_[0] = table.add(name_ + ".weight", {whole(C)}, Initial::constant(1));
}

template <class Scalar>
double RmsNorm<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::rmsnorm_forward(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
double RmsNorm<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::rmsnorm_backward_input(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
double RmsNorm<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::rmsnorm_backward_weights(B * tokens_, C_, sizeof(Scalar), sizeof(State<Scalar>)).flop;
}

template <class Scalar>
std::size_t RmsNorm<Scalar>::saved_bytes(index_t B) const {
  Cutter cutter;
  cutter.vector<State<Scalar>>(B * tokens_);
  return cutter.used();
}

template <class Scalar>
void RmsNorm<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                              std::byte* block) const {
  Cutter cutter(block);
  const auto rstd = cutter.vector<State<Scalar>>(static_cast<index_t>(y.extent(0)) * tokens_);
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  kernels::rmsnorm_forward<Scalar>(call.context.exec(), epsilon_, split_rows(x, C_), gamma, split_rows(y, C_), rstd);
}

template <class Scalar>
void RmsNorm<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                     std::byte* block, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  Cutter cutter(block);
  const auto rstd = cutter.vector<State<Scalar>>(static_cast<index_t>(dy.extent(0)) * tokens_);
  const ConstVector<Scalar> gamma(call.parameters.data() + ranges_[0].offset, C_);
  kernels::rmsnorm_backward_input<Scalar>(call.context.exec(), split_rows(x, C_), gamma, rstd, split_rows(dy, C_),
                                          split_rows(dx, C_));
}

template <class Scalar>
void RmsNorm<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* block,
                                       ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  Cutter cutter(block);
  const auto rstd = cutter.vector<State<Scalar>>(static_cast<index_t>(dy.extent(0)) * tokens_);
  const Vector<Scalar> dgamma(gradients.data() + ranges_[0].offset, C_);
  kernels::rmsnorm_backward_weights<Scalar>(call.context, split_rows(x, C_), rstd, split_rows(dy, C_), dgamma);
}

template class LayerNorm<float>;
template class LayerNorm<double>;
template class LayerNorm<bfloat16>;
template class LayerNorm<float16>;
template class RmsNorm<float>;
template class RmsNorm<double>;
template class RmsNorm<bfloat16>;
template class RmsNorm<float16>;

}  // namespace partita::nn
