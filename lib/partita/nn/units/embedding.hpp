// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

struct EmbeddingOptions {
  index_t V = 256;        ///< vocabulary
  index_t T = 256;        ///< tokens of a sequence
  index_t C = 256;        ///< width
  bool positions = true;  ///< learned positions are added
  bool tied = false;      ///< the head has written its gradient of the token table already: this unit adds its own
};

/// y(t, :) = W[token(t), :] + P[t, :], the token and position embeddings. Reads call.tokens, not x.
template <class Scalar>
class Embedding final : public Unit<Scalar> {
 public:
  /// Declares W (V, C) and P (T, C) under "<name>.token" and "<name>.position", normal with deviation 0.02 (GPT-2).
  Embedding(ParameterTable& table, std::string name, const EmbeddingOptions& options);

  /// Where the token table lies: what a tied head multiplies with.
  Range token_table() const { return ranges_[0]; }

  std::string name() const override { return name_; }
  index_t inputs() const override { return options_.T; }
  index_t outputs() const override { return options_.T * options_.C; }
  std::span<const Range> ranges() const override { return {ranges_.data(), options_.positions ? 2u : 1u}; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t) const override { return 0; }
  double backward_weights_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  ConstVector<std::int32_t> tokens(const Call<Scalar>& call) const { return {call.tokens.data(), call.tokens.size()}; }

  std::string name_;
  EmbeddingOptions options_;
  std::array<Range, 2> ranges_;  // W, P
};

}  // namespace partita::nn
