// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/embedding_bag.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>

namespace partita::nn {

template <class Scalar>
EmbeddingBag<Scalar>::EmbeddingBag(Tables& tables, std::string name, const EmbeddingBagShape& shape)
    : Unit<Scalar>(std::move(name), shape.T, shape.C), shape_(shape) {
  if (shape.V < 1 || shape.T < 1 || shape.C < 1)
    refuse<UsageError>("embedding bag", fmt::format("a table ({}, {}) and bags of {} keys", shape.V, shape.C, shape.T),
                       "at least 1");
  table_ = this->own(tables.parameters.add(this->name() + ".table", {shape.V, shape.C}, Initial::normal(1)));
}

template <class Scalar>
PassFlop EmbeddingBag<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  const auto [V, T, C] = shape_;
  return {cost::embedding_bag_forward(B, T, C, sizeof(Scalar)).flop, 0,
          cost::embedding_bag_backward_weights(B, T, V, C, sizeof(Scalar)).flop};
}

template <class Scalar>
void EmbeddingBag<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar>, Matrix<Scalar> y) const {
  const ConstVector<std::int32_t> tokens(call.tokens.data(), call.tokens.size());
  kernels::embedding_bag_forward<Scalar>(call.context.exec(), shape_.T, tokens,
                                         call.weights.matrix(table_, shape_.V, shape_.C), y);
}

template <class Scalar>
void EmbeddingBag<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar>,
                                            ConstMatrix<Scalar> dy) const {
  const ConstVector<std::int32_t> tokens(call.tokens.data(), call.tokens.size());
  kernels::embedding_bag_backward_weights<Scalar>(call.context, shape_.T, call.gradients->store, tokens, dy,
                                                  call.gradients->matrix(table_, shape_.V, shape_.C));
}

template class EmbeddingBag<float>;
template class EmbeddingBag<double>;
template class EmbeddingBag<bfloat16>;
template class EmbeddingBag<float16>;

}  // namespace partita::nn
