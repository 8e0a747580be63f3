// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/attention.hpp>

#include <utility>

#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
Attention<Scalar>::Attention(std::string name, const kernels::AttentionOptions& options, index_t D)
    : Unit<Scalar>(std::move(name), options.T * 3 * options.H * D, queries_of(options).extent * options.H * D),
      options_(options),
      D_(D) {
  options_.queries = queries_of(options);
}

template <class Scalar>
PassFlop Attention<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const auto& [T, H, causal, algorithm, queries] = options_;
  return {cost::attention_forward(B, queries, H, D_, causal, sizeof(Scalar), sizeof(Sum<Scalar>)).flop,
          cost::attention_backward(B, queries, H, D_, causal, sizeof(Scalar), sizeof(Sum<Scalar>)).flop};
}

template <class Scalar>
Footprint Attention<Scalar>::footprint(index_t B) const {
  Cutter cutter;
  cutter.vector<Sum<Scalar>>(B * options_.H * options_.queries.extent);
  return {.saved = cutter.used()};
}

template <class Scalar>
void Attention<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const ConstMatrix<Scalar> qkv = split_rows(x, 3 * options_.H * D_);
  kernels::attention_forward<Scalar>(call.context, options_, third(qkv, 0), third(qkv, 1), third(qkv, 2),
                                     split_rows(y, options_.H * D_), lse(call, static_cast<index_t>(y.extent(0))));
}

template <class Scalar>
void Attention<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                       Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  if (dx.data() == nullptr) return;
  const index_t columns = options_.H * D_;
  const ConstMatrix<Scalar> qkv = split_rows(x, 3 * columns);
  const Matrix<Scalar> dqkv = split_rows(dx, 3 * columns);
  kernels::attention_backward<Scalar>(call.context, options_, third(qkv, 0), third(qkv, 1), third(qkv, 2),
                                      split_rows(y, columns), lse(call, static_cast<index_t>(dy.extent(0))),
                                      split_rows(dy, columns), third(dqkv, 0), third(dqkv, 1), third(dqkv, 2));
}

template class Attention<float>;
template class Attention<double>;
template class Attention<bfloat16>;
template class Attention<float16>;

}  // namespace partita::nn
