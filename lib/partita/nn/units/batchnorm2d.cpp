// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cast.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/nn/units/batchnorm2d.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
BatchNorm2d<Scalar>::BatchNorm2d(Tables& tables, std::string name, index_t pixels, index_t C,
                                 const kernels::BatchnormOptions& options)
    : name_(std::move(name)), pixels_(pixels), C_(C), options_(options) {
  ranges_[0] = tables.parameters.add(name_ + ".weight", {whole(C)}, Initial::constant(1));
  ranges_[1] = tables.parameters.add(name_ + ".bias", {whole(C)}, Initial::constant(0));
  running_[0] = tables.state.add(name_ + ".running_mean", {whole(C)}, Initial::constant(0));
  running_[1] = tables.state.add(name_ + ".running_variance", {whole(C)}, Initial::constant(1));
}

template <class Scalar>
double BatchNorm2d<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::batchnorm_forward(options_, B * pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
double BatchNorm2d<Scalar>::backward_input_flop(index_t B) const {
  return kernels::cost::batchnorm_backward_input(options_, B * pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
double BatchNorm2d<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::batchnorm_backward_sums(options_, B * pixels_, C_, sizeof(Scalar)).flop;
}

template <class Scalar>
typename BatchNorm2d<Scalar>::Saved BatchNorm2d<Scalar>::cut(std::byte* block) const {
  Cutter cutter(block);
  const auto next = [&] { return cutter.vector<State<Scalar>>(C_); };
  Saved saved;
  saved.mean = next();
  saved.rstd = next();
  saved.dgamma = next();
  saved.dbeta = next();
  return saved;
}

template <class Scalar>
std::size_t BatchNorm2d<Scalar>::saved_bytes(index_t) const {
  Cutter cutter;
  for (int i = 0; i < 4; ++i) cutter.vector<State<Scalar>>(C_);
  return cutter.used();
}

template <class Scalar>
void BatchNorm2d<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y,
                                  std::byte* block) const {
  const ConstVector<Scalar> beta(call.parameters.data() + ranges_[1].offset, C_);
  const Vector<State<Scalar>> running_mean(call.state.data() + running_[0].offset, C_);
  const Vector<State<Scalar>> running_variance(call.state.data() + running_[1].offset, C_);
  if (!call.training)
    return kernels::batchnorm_infer<Scalar>(call.context.exec(), options_, split_rows(x, C_), gamma(call), beta,
                                            running_mean, running_variance, split_rows(y, C_));
  const Saved saved = cut(block);
  kernels::batchnorm_forward<Scalar>(call.context, options_, split_rows(x, C_), gamma(call), beta, split_rows(y, C_),
                                     saved.mean, saved.rstd, running_mean, running_variance);
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                         std::byte* block, Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const Saved saved = cut(block);
  const ConstMatrix<Scalar> pixels = split_rows(x, C_), out = split_rows(y, C_), dout = split_rows(dy, C_);
  kernels::batchnorm_backward_sums<Scalar>(call.context, options_, pixels, out, saved.mean, saved.rstd, dout,
                                           saved.dgamma, saved.dbeta);
  if (dx.data() == nullptr) return;
  kernels::batchnorm_backward_input<Scalar>(call.context.exec(), options_, pixels, out, gamma(call), saved.mean,
                                            saved.rstd, saved.dgamma, saved.dbeta, dout, split_rows(dx, C_));
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar>, std::byte* block,
                                           ConstMatrix<Scalar>, Vector<Scalar> gradients) const {
  const Saved saved = cut(block);
  const Exec& exec = call.context.exec();
  kernels::cast<Scalar, State<Scalar>>(exec, saved.dgamma, Vector<Scalar>(gradients.data() + ranges_[0].offset, C_));
  kernels::cast<Scalar, State<Scalar>>(exec, saved.dbeta, Vector<Scalar>(gradients.data() + ranges_[1].offset, C_));
}

template class BatchNorm2d<float>;
template class BatchNorm2d<double>;
template class BatchNorm2d<bfloat16>;
template class BatchNorm2d<float16>;

}  // namespace partita::nn
