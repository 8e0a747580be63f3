// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/linear.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// The part of a fully connected layer that is here. Either dimension may be a slice of the whole.
struct LinearShape {
  Slice K;                   ///< input columns
  std::vector<Dimension> N;  ///< output columns, the last dimension fastest: {N}, or {3, heads, D} for q, k and v
  index_t K_blocks = 1;      ///< in which a sum over K is cut (deterministic mode); of N: in its dimensions
  Slice tokens = whole(1);   ///< a row of x is so many tokens of K numbers each, and the layer is the same for all
  kernels::Activation activation = kernels::Activation::identity;  ///< fused; its slope must follow from y
  bool bias = true;
  bool bias_apart = false;  ///< y is a part of a sum, to which its owner adds the bias; its gradient is computed here
  Initial weight = {.value = 0};  ///< value 0: uniform in +-1/sqrt(K), as torch.nn.Linear draws weight and bias
  std::string tied =
      {};  ///< the weight is this tensor, such as an embedding's (V, C) as a head, and not the unit's own, unless no
           ///< unit before it has declared that: then it is a copy of another rank's, which begins as `weight` says
};

/// y = act(x W^T + b) with W (N, K) and b (N): a fully connected layer with its activation fused.
///
/// Where the products of several ranks add up, a unit of the strategy owns this one and calls what is public here: the
/// observer is told of each as of any forward and backward_input.
template <class Scalar>
class Linear final : public Unit<Scalar> {
 public:
  /// Declares W and b under "<name>.weight" and "<name>.bias". A tied weight is its owner's, who adds the two gradients
  /// up and says when they are complete; a copy of another rank's is declared under its name.
  /// Throws   UsageError for an activation whose slope needs x W^T + b (give it a unit of its own), or a tied weight of
  ///          another shape.
  Linear(Tables& tables, std::string name, const LinearShape& shape);

  PassFlop flop(index_t B) const override;
  bool may_end_branch() const override { return options_.activation == kernels::Activation::identity; }

  index_t K() const { return K_; }
  index_t N() const { return N_; }
  Range bias() const { return bias_; }

  /// y for some rows of tokens.
  ///
  /// Shapes   x (rows, K)   ->   y (rows, N), overwritten.
  void forward_rows(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  /// Nodes of the trees over the blocks of K or of N that are here, counted from my first one, without bias.
  ///
  /// Shapes   x (B, inputs)   ->   y (nodes, tokens N);   y, dy (B, outputs)   ->   dx (nodes, tokens K); overwritten.
  void forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, ConstMatrix<Scalar> x,
                     Vector<Sum<Scalar>> y) const;
  void backward_input_nodes(const Call<Scalar>& call, std::span<const Node> nodes, ConstMatrix<Scalar> y,
                            Matrix<Scalar> dy, Vector<Sum<Scalar>> dx) const;

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy) const override;

 private:
  ConstVector<Scalar> added_bias(const Call<Scalar>& call) const;

  index_t K_, N_, tokens_;
  bool bias_apart_;
  kernels::LinearOptions options_;
  Range weight_, bias_;  // without a bias its extent is 0
};

}  // namespace partita::nn
