// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/embedding.hpp>

#include <utility>

#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
Embedding<Scalar>::Embedding(Tables& tables, std::string name, const EmbeddingShape& shape)
    : Unit<Scalar>(std::move(name), shape.tokens.extent, shape.tokens.extent * shape.C),
      words_(shape.V.slice),
      V_(shape.V.slice.extent),
      T_(shape.tokens.extent),
      C_(shape.C),
      positions_(shape.positions),
      tied_(shape.tied),
      blocks_{.tokens = T_, .token_blocks = tables.blocks(T_)} {
  const Initial initial = Initial::normal(0.02);
  token_ = this->own(tables.parameters.add(this->name() + ".token", {shape.V, shape.C}, initial));
  if (positions_)
    position_ = this->own(tables.parameters.add(this->name() + ".position",
                                                {Dimension(shape.tokens, tables.blocks(T_)), shape.C}, initial));
}

template <class Scalar>
PassFlop Embedding<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  return {cost::embedding_forward(B * T_, C_, positions_, sizeof(Scalar)).flop, 0,
          cost::embedding_backward_weights(B * T_, T_, V_, C_, positions_, sizeof(Scalar)).flop};
}

template <class Scalar>
void Embedding<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar>, Matrix<Scalar> y) const {
  const ConstVector<std::int32_t> tokens(call.tokens.data(), call.tokens.size());
  kernels::embedding_forward<Scalar>(call.context.exec(), T_, tokens, call.weights.matrix(token_, V_, C_),
                                     call.weights.matrix(position_, positions_ ? T_ : 0, C_), split_rows(y, C_),
                                     words_);
}

template <class Scalar>
void Embedding<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar> dy) const {
  const ConstVector<std::int32_t> tokens(call.tokens.data(), call.tokens.size());
  // A tied table has the head's gradient already: both are added to, so the positions begin with zeros.
  const kernels::Store store = tied_ ? kernels::Store::accumulate : call.gradients->store;
  if (store != call.gradients->store)
    kernels::fill<Sum<Scalar>>(call.context.exec(), Sum<Scalar>(0), call.gradients->vector(position_));
  kernels::embedding_backward_weights<Scalar>(call.context, blocks_, store, tokens, split_rows(dy, C_),
                                              call.gradients->matrix(token_, V_, C_),
                                              call.gradients->matrix(position_, positions_ ? T_ : 0, C_), words_);
}

template class Embedding<float>;
template class Embedding<double>;
template class Embedding<bfloat16>;
template class Embedding<float16>;

}  // namespace partita::nn
