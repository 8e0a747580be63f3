// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/between.hpp>

#include <partita/core/float16.hpp>
#include <partita/parallel/tensor/embedding.hpp>
#include <partita/parallel/tensor/linear.hpp>
#include <partita/parallel/tensor/norm.hpp>

namespace partita::parallel {
namespace {

template <class Unit, class Scalar, class... Arguments>
nn::Layer<Scalar> layer(TensorAxis<Scalar>* axis, const char* tag, const char* in_sequence_mode,
                        Arguments... arguments) {
  return [=](nn::Tables& tables) -> std::unique_ptr<nn::Unit<Scalar>> {
    auto unit = std::make_unique<Unit>(tables, arguments..., *axis);
    unit->visit([](nn::Unit<Scalar>& part) { part.set_tag("linear"); });
    unit->set_tag(axis->options().sequence ? in_sequence_mode : tag);
    return unit;
  };
}

constexpr const char *sums = "all-reduce", *gathers = "gather-tokens", *scatters = "scatter-tokens";

}  // namespace

template <class Scalar>
nn::Layer<Scalar> TensorBetween<Scalar>::into_split(const std::string& name, const nn::LinearShape& shape) const {
  if (alone()) return nn::Between<Scalar>::into_split(name, shape);
  return layer<ColumnParallelLinear<Scalar>>(axis_, sums, gathers, name, shape);
}

template <class Scalar>
nn::Layer<Scalar> TensorBetween<Scalar>::out_of_split(const std::string& name, const nn::LinearShape& shape) const {
  if (alone()) return nn::Between<Scalar>::out_of_split(name, shape);
  return layer<RowParallelLinear<Scalar>>(axis_, sums, scatters, name, shape);
}

template <class Scalar>
nn::Layer<Scalar> TensorBetween<Scalar>::embedding(const std::string& name, const nn::EmbeddingShape& shape) const {
  if (alone()) return nn::Between<Scalar>::embedding(name, shape);
  return nn::Layers<Scalar>::tagged("embedding",
                                    layer<VocabularyParallelEmbedding<Scalar>>(axis_, sums, scatters, name, shape));
}

template <class Scalar>
nn::Layer<Scalar> TensorBetween<Scalar>::token_norm(const std::string& name, nn::Norm norm, Slice tokens,
                                                    index_t C) const {
  const TensorOptions& options = axis_->options();
  if (alone() || !options.sequence || !options.deterministic)
    return nn::Between<Scalar>::token_norm(name, norm, tokens, C);
  return layer<TokenParallelNorm<Scalar>>(axis_, "norm", "norm", name, norm, C);
}

template class TensorBetween<float>;
template class TensorBetween<double>;
template class TensorBetween<bfloat16>;
template class TensorBetween<float16>;

}  // namespace partita::parallel
