// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/nn/units/embedding.hpp>
#include <utility>

namespace partita::nn {

template <class Scalar>
Embedding<Scalar>::Embedding(ParameterTable& table, std::string name, const EmbeddingOptions& options)
    : name_(std::move(name)), options_(options) {
  const Initial initial = Initial::normal(0.02);
  ranges_[0] = table.add(name_ + ".token", {whole(options.V), whole(options.C)}, initial);
  if (options.positions) ranges_[1] = table.add(name_ + ".position", {whole(options.T), whole(options.C)}, initial);
}

template <class Scalar>
double Embedding<Scalar>::forward_flop(index_t B) const {
  return kernels::cost::embedding_forward(B * options_.T, options_.C, options_.positions, sizeof(Scalar)).flop;
}

template <class Scalar>
double Embedding<Scalar>::backward_weights_flop(index_t B) const {
  return kernels::cost::embedding_backward_weights(B * options_.T, options_.T, options_.V, options_.C,
                                                   options_.positions, sizeof(Scalar))
      .flop;
}

template <class Scalar>
std::size_t Embedding<Scalar>::saved_bytes(index_t) const {
  return options_.tied ? static_cast<std::size_t>(ranges_[0].extent) * sizeof(Scalar) : 0;
}

template <class Scalar>
void Embedding<Scalar>::forward(const Call<Scalar>& call, ConstMatrix<Scalar>, Matrix<Scalar> y, std::byte*) const {
  const auto [V, T, C, positions, tied] = options_;
  const ConstMatrix<Scalar> W(call.parameters.data() + ranges_[0].offset, V, C);
  const ConstMatrix<Scalar> P(call.parameters.data() + ranges_[1].offset, positions ? T : 0, C);
  kernels::embedding_forward<Scalar>(call.context.exec(), T, tokens(call), W, P, split_rows(y, C));
}

template <class Scalar>
void Embedding<Scalar>::backward_input(const Call<Scalar>&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, std::byte*,
                                       Matrix<Scalar>, Matrix<Scalar>) const {}

template <class Scalar>
void Embedding<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar>, std::byte* saved,
                                         ConstMatrix<Scalar> dy, Vector<Scalar> gradients) const {
  const auto [V, T, C, positions, tied] = options_;
  const Exec& exec = call.context.exec();
  const Matrix<Scalar> dW(gradients.data() + ranges_[0].offset, V, C);
  const Matrix<Scalar> dP(gradients.data() + ranges_[1].offset, positions ? T : 0, C);
  const Matrix<Scalar> own = tied ? Matrix<Scalar>(reinterpret_cast<Scalar*>(saved), V, C) : dW;
  kernels::embedding_backward_weights<Scalar>(exec, T, tokens(call), split_rows(dy, C), own, dP);
  if (tied)
    kernels::add<Scalar>(exec, ConstVector<Scalar>(own.data(), own.size()), Vector<Scalar>(dW.data(), dW.size()));
}

template class Embedding<float>;
template class Embedding<double>;
template class Embedding<bfloat16>;
template class Embedding<float16>;

}  // namespace partita::nn
