// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/token_norm.hpp>

#include <utility>

#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
TokenNorm<Scalar>::TokenNorm(Tables& tables, std::string name, Norm norm, Slice tokens, index_t C, double epsilon)
    : Unit<Scalar>(std::move(name), tokens.extent * C, tokens.extent * C),
      norm_(norm),
      tokens_(tokens.extent),
      C_(C),
      epsilon_(epsilon),
      blocks_{.tokens = tokens_, .token_blocks = tables.blocks(tokens_)} {
  gamma_ = this->own(tables.parameters.add(this->name() + ".weight", {C}, Initial::constant(1)));
  if (norm == Norm::layer) beta_ = this->own(tables.parameters.add(this->name() + ".bias", {C}, Initial::constant(0)));
}

template <class Scalar>
PassFlop TokenNorm<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const index_t rows = B * tokens_, element = sizeof(Scalar), statistic = sizeof(Sum<Scalar>);
  if (norm_ == Norm::rms)
    return {cost::rmsnorm_forward(rows, C_, element, statistic).flop,
            cost::rmsnorm_backward_input(rows, C_, element, statistic).flop,
            cost::rmsnorm_backward_weights(rows, C_, element, statistic).flop};
  return {cost::layernorm_forward(rows, C_, element, statistic).flop,
          cost::layernorm_backward_input(rows, C_, element, statistic).flop,
          cost::layernorm_backward_weights(rows, C_, element, statistic).flop};
}

template <class Scalar>
typename TokenNorm<Scalar>::Saved TokenNorm<Scalar>::cut(Cutter cutter, index_t B) const {
  Saved saved;
  saved.rstd = cutter.vector<Sum<Scalar>>(B * tokens_);
  if (norm_ == Norm::layer) saved.mean = cutter.vector<Sum<Scalar>>(B * tokens_);
  return saved;
}

template <class Scalar>
Footprint TokenNorm<Scalar>::footprint(index_t B) const {
  Cutter cutter;
  cutter.vector<Sum<Scalar>>(B * tokens_);
  if (norm_ == Norm::layer) cutter.vector<Sum<Scalar>>(B * tokens_);
  return {.saved = cutter.used()};
}

template <class Scalar>
void TokenNorm<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const auto [rstd, mean] = cut(Cutter(call.saved), static_cast<index_t>(y.extent(0)));
  const Exec& exec = call.context.exec();
  const ConstVector<Scalar> gamma = call.weights.vector(gamma_);
  if (norm_ == Norm::rms)
    kernels::rmsnorm_forward<Scalar>(exec, epsilon_, split_rows(x, C_), gamma, split_rows(y, C_), rstd);
  else
    kernels::layernorm_forward<Scalar>(exec, epsilon_, split_rows(x, C_), gamma, call.weights.vector(beta_),
                                       split_rows(y, C_), mean, rstd);
}

template <class Scalar>
void TokenNorm<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar>,
                                       Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  const auto [rstd, mean] = cut(Cutter(call.saved), static_cast<index_t>(dy.extent(0)));
  const Exec& exec = call.context.exec();
  const ConstVector<Scalar> gamma = call.weights.vector(gamma_);
  if (norm_ == Norm::rms)
    kernels::rmsnorm_backward_input<Scalar>(exec, split_rows(x, C_), gamma, rstd, split_rows(dy, C_),
                                            split_rows(dx, C_));
  else
    kernels::layernorm_backward_input<Scalar>(exec, split_rows(x, C_), gamma, mean, rstd, split_rows(dy, C_),
                                              split_rows(dx, C_));
}

template <class Scalar>
void TokenNorm<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x,
                                         ConstMatrix<Scalar> dy) const {
  const auto [rstd, mean] = cut(Cutter(call.saved), static_cast<index_t>(dy.extent(0)));
  const Vector<Sum<Scalar>> dgamma = call.gradients->vector(gamma_);
  if (norm_ == Norm::rms)
    kernels::rmsnorm_backward_weights<Scalar>(call.context, blocks_, call.gradients->store, split_rows(x, C_), rstd,
                                              split_rows(dy, C_), dgamma);
  else
    kernels::layernorm_backward_weights<Scalar>(call.context, blocks_, call.gradients->store, split_rows(x, C_), mean,
                                                rstd, split_rows(dy, C_), dgamma, call.gradients->vector(beta_));
}

template class TokenNorm<float>;
template class TokenNorm<double>;
template class TokenNorm<bfloat16>;
template class TokenNorm<float16>;

}  // namespace partita::nn
