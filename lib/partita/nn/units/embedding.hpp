// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/embedding.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

struct EmbeddingShape {
  Dimension V = 256;          ///< vocabulary; of a slice: words of the others give zeros
  Slice tokens = whole(256);  ///< of a sequence: the ones that are here
  index_t C = 256;            ///< width
  bool positions = true;      ///< learned positions are added
  bool tied = false;          ///< a head reads the token table and stores its gradient first: this unit adds its own
  index_t context = 0;        ///< positions that there are, of which call.past says the first; 0: those of tokens

  /// The rows of the table of positions.
  Dimension position_rows(const Tables& tables) const {
    const Slice rows = context > 0 ? whole(context) : tokens;
    return {rows, tables.blocks(rows.global)};
  }
};

/// What a unit with learned positions adds to its tokens: rows of P, those of call.past and on in a longer context.
/// Throws   ShapeError where the tokens go beyond the context.
template <class Scalar>
ConstMatrix<Scalar> positions_of(const Call<Scalar>& call, Range table, index_t context, index_t T, index_t C);

/// y(t, :) = W[token(t), :] + P[t, :], the token and position embeddings; with a context P[past + t, :], and no
/// backward. Reads call.tokens, not x.
template <class Scalar>
class Embedding final : public Unit<Scalar> {
 public:
  /// Declares W (V, C) and P (T, C), or (context, C), under "<name>.token" and "<name>.position", normal with deviation
  /// 0.02 (GPT-2).
  Embedding(Tables& tables, std::string name, const EmbeddingShape& shape);

  PassFlop flop(index_t B) const override;
  bool reads_tokens() const override { return true; }

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  Slice words_;
  index_t V_, T_, C_, context_;
  bool positions_, tied_;
  kernels::TokenBlocks blocks_;
  Range token_, position_;
};

}  // namespace partita::nn
