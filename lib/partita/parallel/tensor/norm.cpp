// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/norm.hpp>

#include <partita/core/float16.hpp>

namespace partita::parallel {

template <class Scalar>
TokenParallelNorm<Scalar>::TokenParallelNorm(nn::Tables& tables, const std::string& name, nn::Norm norm, index_t C,
                                             TensorAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name, axis.tokens().extent * C, axis.tokens().extent * C), axis_(axis), C_(C) {
  nn::Tables same = tables;  // gamma and beta get the ranges that they are given below
  whole_ = std::make_unique<nn::TokenNorm<Scalar>>(same, name, norm, whole(axis.T()), C);
  here_ = std::make_unique<nn::TokenNorm<Scalar>>(tables, name, norm, axis.tokens(), C);
  for (const Range& range : here_->ranges()) this->own(range);
}

template <class Scalar>
typename TokenParallelNorm<Scalar>::Buffers TokenParallelNorm<Scalar>::cut(nn::Cutter& workspace, index_t B) const {
  const index_t row = axis_.T() * C_;
  Buffers buffers;
  buffers.x = workspace.matrix<Scalar>(B, row);
  buffers.y = workspace.matrix<Scalar>(B, row);
  buffers.dy = workspace.matrix<Scalar>(B, row);
  buffers.staging = workspace.vector<Scalar>(axis_.staging(B, C_));
  buffers.saved = workspace.take(whole_->footprint(B).saved);
  return buffers;
}

template <class Scalar>
nn::Footprint TokenParallelNorm<Scalar>::footprint(index_t B) const {
  nn::Cutter workspace;
  cut(workspace, B);
  return {.saved = here_->footprint(B).saved, .workspace = workspace.used()};
}

template <class Scalar>
void TokenParallelNorm<Scalar>::backward_weights(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                 ConstMatrix<Scalar> dy) const {
  nn::Cutter workspace(call.workspace);
  const Buffers all = cut(workspace, static_cast<index_t>(dy.extent(0)));
  axis_.gather_tokens(call.context.exec(), C_, x, all.x, all.staging);
  axis_.gather_tokens(call.context.exec(), C_, dy, all.dy, all.staging);
  nn::Call<Scalar> of_all = call;
  of_all.saved = all.saved;
  whole_->forward_untold(of_all, all.x, all.y);  // for the tokens' means and deviations
  whole_->backward_untold(nn::Half::weights, of_all, all.x, all.y, all.dy, {});
}

template class TokenParallelNorm<float>;
template class TokenParallelNorm<double>;
template class TokenParallelNorm<bfloat16>;
template class TokenParallelNorm<float16>;

}  // namespace partita::parallel
