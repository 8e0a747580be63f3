// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <partita/nn/units/embedding.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// y(t, :) = sum over ranks of W[token(t), :] + P[t, :], each rank having the rows of some words: of the others it adds
/// zeros, so that the sum is exact in any order.
///
///     forward    the sum is an all-reduce; in sequence mode a reduce-scatter over tokens
///     backward   nothing, or in sequence mode an all-gather of dy
///
/// The positions of the tokens that are here belong to this unit, the words to its part.
/// Source   Shoeybi et al. 2019, section 3.
template <class Scalar>
class VocabularyParallelEmbedding final : public nn::Unit<Scalar> {
 public:
  /// Declares "<name>.token" (V, C) and "<name>.position" (tokens, C). axis must outlive the unit.
  VocabularyParallelEmbedding(nn::Tables& tables, const std::string& name, const nn::EmbeddingShape& shape,
                              TensorAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override;
  nn::Footprint footprint(index_t B) const override;
  bool reads_tokens() const override { return true; }
  bool communicates() const override { return true; }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  struct Buffers {
    Matrix<Scalar> all;  // tokens: sequence mode
    Vector<Scalar> staging;
  };
  Buffers cut(nn::Cutter& workspace, index_t B) const;
  bool split() const { return axis_.options().sequence; }

  TensorAxis<Scalar>& axis_;
  std::unique_ptr<nn::Embedding<Scalar>> words_;
  Slice tokens_;
  index_t C_, context_;
  Range position_;
};

}  // namespace partita::parallel
