// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/embedding.hpp>

#include <partita/core/float16.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::parallel {

using nn::Half;
using nn::Part;

template <class Scalar>
VocabularyParallelEmbedding<Scalar>::VocabularyParallelEmbedding(nn::Tables& tables, const std::string& name,
                                                                 const nn::EmbeddingShape& shape,
                                                                 TensorAxis<Scalar>& axis)
    : nn::Unit<Scalar>(name + (axis.options().sequence ? ".scatter-tokens" : ".all-reduce"), 0, 0),
      axis_(axis),
      tokens_(shape.tokens),
      C_(shape.C),
      context_(shape.context) {
  nn::EmbeddingShape words = shape;
  words.tokens = whole(shape.tokens.global);
  words.positions = false;
  words_ = std::make_unique<nn::Embedding<Scalar>>(tables, name, words);
  if (shape.positions)
    position_ = this->own(
        tables.parameters.add(name + ".position", {shape.position_rows(tables), C_}, nn::Initial::normal(0.02)));
  this->set_extents(words_->inputs(), tokens_.extent * C_);
}

template <class Scalar>
void VocabularyParallelEmbedding<Scalar>::visit(const std::function<void(nn::Unit<Scalar>&)>& f) {
  f(*words_);
  f(*this);
}

template <class Scalar>
nn::PassFlop VocabularyParallelEmbedding<Scalar>::flop(index_t B) const {
  nn::PassFlop sum = words_->flop(B);
  if (position_.extent == 0) return sum;
  sum.forward += kernels::cost::add(B * tokens_.extent * C_, sizeof(Scalar)).flop;
  sum.backward_weights += kernels::cost::add(B * tokens_.extent * C_, sizeof(Scalar)).flop;
  return sum;
}

template <class Scalar>
typename VocabularyParallelEmbedding<Scalar>::Buffers VocabularyParallelEmbedding<Scalar>::cut(nn::Cutter& workspace,
                                                                                               index_t B) const {
  Buffers buffers;
  if (!split()) return buffers;
  buffers.all = workspace.matrix<Scalar>(B, axis_.T() * C_);
  buffers.staging = workspace.vector<Scalar>(axis_.staging(B, C_));
  return buffers;
}

template <class Scalar>
nn::Footprint VocabularyParallelEmbedding<Scalar>::footprint(index_t B) const {
  nn::Cutter workspace;
  cut(workspace, B);
  return {.workspace = workspace.used()};
}

template <class Scalar>
void VocabularyParallelEmbedding<Scalar>::forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                  Matrix<Scalar> y) const {
  const Exec& exec = call.context.exec();
  nn::Cutter workspace(call.workspace);
  const auto B = static_cast<index_t>(y.extent(0)), row = tokens_.extent * C_;
  const Buffers buffers = cut(workspace, B);
  words_->forward(call, x, split() ? buffers.all : y);
  this->observed(call, Part::forward, [&] {
    if (split())
      axis_.reduce_scatter_tokens(exec, C_, buffers.all, y, buffers.staging);
    else
      axis_.run(axis_.allreduce(static_cast<index_t>(y.size())), exec, nn::flat(y));
    if (position_.extent == 0) return;
    const ConstMatrix<Scalar> positions = nn::positions_of(call, position_, context_, tokens_.extent, C_);
    for (index_t b = 0; b < B; ++b)
      kernels::add<Scalar>(exec, {positions.data(), positions.size()},
                           Vector<Scalar>(y.data() + b * row, static_cast<std::size_t>(row)));
  });
}

template <class Scalar>
void VocabularyParallelEmbedding<Scalar>::backward(Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x,
                                                   ConstMatrix<Scalar> y, Matrix<Scalar> dy, Matrix<Scalar>) const {
  if (half == Half::input) return;
  nn::Cutter workspace(call.workspace);
  const Buffers buffers = cut(workspace, static_cast<index_t>(dy.extent(0)));
  if (split())
    this->observed(call, Part::backward_input,
                   [&] { axis_.gather_tokens(call.context.exec(), C_, dy, buffers.all, buffers.staging); });
  words_->backward(Half::weights, call, x, y, split() ? buffers.all : dy, {});
  if (position_.extent == 0) return;
  this->observed(call, Part::backward_weights, [&] {
    const ConstMatrix<Scalar> rows = nn::split_rows(dy, C_);
    const Matrix<nn::Sum<Scalar>> no_words(nullptr, 0, static_cast<std::size_t>(C_));
    kernels::embedding_backward_weights<Scalar>(call.context, {.tokens = tokens_.extent}, call.gradients->store,
                                                ConstVector<std::int32_t>(call.tokens.data(), rows.extent(0)), rows,
                                                no_words, call.gradients->matrix(position_, tokens_.extent, C_));
  });
}

template class VocabularyParallelEmbedding<float>;
template class VocabularyParallelEmbedding<double>;
template class VocabularyParallelEmbedding<bfloat16>;
template class VocabularyParallelEmbedding<float16>;

}  // namespace partita::parallel
