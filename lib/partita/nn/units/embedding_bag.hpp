// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/embedding.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

struct EmbeddingBagShape {
  index_t V = 1024;  ///< rows of the table
  index_t T = 16;    ///< keys of a bag
  index_t C = 32;    ///< width
};

/// y = 1/T sum_t W[token(t), :], the mean of a bag's rows: one row a sample. Reads call.tokens, not x.
template <class Scalar>
class EmbeddingBag final : public Unit<Scalar> {
 public:
  /// Declares W (V, C) under "<name>.table", normal with deviation 1 (PyTorch's EmbeddingBag).
  /// Throws   UsageError for an extent below 1.
  EmbeddingBag(Tables& tables, std::string name, const EmbeddingBagShape& shape);

  PassFlop flop(index_t B) const override;
  bool reads_tokens() const override { return true; }

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  EmbeddingBagShape shape_;
  Range table_;
};

}  // namespace partita::nn
