// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/embedding.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
ConstMatrix<Scalar> positions_of(const Call<Scalar>& call, Range table, index_t context, index_t T, index_t C) {
  const index_t first = context > 0 ? call.past : 0, rows = context > 0 ? context : T;
  if (first < 0 || first + T > rows)
    refuse<ShapeError>("embedding", fmt::format("tokens [{}, {})", first, first + T),
                       fmt::format("{} tokens at most", rows));
  const Matrix<const Scalar> all = call.weights.matrix(table, rows, C);
  return {all.data() == nullptr ? nullptr : all.data() + first * C, static_cast<std::size_t>(T),
          static_cast<std::size_t>(C)};
}

template <class Scalar>
Embedding<Scalar>::Embedding(Tables& tables, std::string name, const EmbeddingShape& shape)
    : Unit<Scalar>(std::move(name), shape.tokens.extent, shape.tokens.extent * shape.C),
      words_(shape.V.slice),
      V_(shape.V.slice.extent),
      T_(shape.tokens.extent),
      C_(shape.C),
      context_(shape.context),
      positions_(shape.positions),
      tied_(shape.tied),
      blocks_{.tokens = T_, .token_blocks = tables.blocks(T_)} {
  const Initial initial = Initial::normal(0.02);
  token_ = this->own(tables.parameters.add(this->name() + ".token", {shape.V, shape.C}, initial));
  if (positions_)
    position_ =
        this->own(tables.parameters.add(this->name() + ".position", {shape.position_rows(tables), shape.C}, initial));
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
  kernels::embedding_forward<Scalar>(
      call.context.exec(), T_, tokens, call.weights.matrix(token_, V_, C_),
      positions_ ? positions_of(call, position_, context_, T_, C_) : call.weights.matrix(position_, 0, C_),
      split_rows(y, C_), words_);
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

template ConstMatrix<float> positions_of(const Call<float>&, Range, index_t, index_t, index_t);
template ConstMatrix<double> positions_of(const Call<double>&, Range, index_t, index_t, index_t);
template ConstMatrix<bfloat16> positions_of(const Call<bfloat16>&, Range, index_t, index_t, index_t);
template ConstMatrix<float16> positions_of(const Call<float16>&, Range, index_t, index_t, index_t);
template class Embedding<float>;
template class Embedding<double>;
template class Embedding<bfloat16>;
template class Embedding<float16>;

}  // namespace partita::nn
