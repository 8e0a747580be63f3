// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/nn/units/linear.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// y = act(x W^T + b), of which each rank computes some output columns: a product that reads whole rows.
///
///     forward    x is the same on all ranks; in sequence mode all-gathered from their tokens
///     backward   dx = sum over ranks of dy W: an all-reduce; in sequence mode a reduce-scatter over tokens
///
/// The sum of dx goes on while dW is computed. In deterministic mode dx is the tree over the blocks of N: ranks bring
/// nodes (TensorAxis::tree_allreduce), and the sum has the bits of the whole layer.
///
/// The observer is told of the product as the unit <name>, and of messages as <name>.<tag>, tag being all-reduce, or
/// gather-tokens in sequence mode.
/// Memory   sequence mode: keeps x (B, T K) of all tokens, or gathers it again in backward (regather).
/// Source   Shoeybi et al. 2019, section 3; Korthikanti et al. 2022, section 4.2.
template <class Scalar>
class ColumnParallelLinear final : public nn::Unit<Scalar> {
 public:
  /// shape.tokens: all of them. axis must outlive the unit.
  ColumnParallelLinear(nn::Tables& tables, const std::string& name, const nn::LinearShape& shape,
                       TensorAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return linear_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return linear_->may_end_branch(); }
  bool reads_x() const override { return !keeps(); }
  bool communicates() const override { return true; }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  using Real = nn::Sum<Scalar>;
  struct Buffers {
    Matrix<Scalar> x, dx;    // of all tokens: sequence mode
    Vector<Scalar> staging;  // sequence mode
    Vector<Real> nodes, sum;
  };
  Buffers cut(nn::Cutter saved, nn::Cutter& workspace, index_t B) const;
  Buffers cut(const nn::Call<Scalar>& call, std::size_t B) const;
  bool keeps() const { return axis_.options().sequence && !axis_.options().regather; }
  ConstMatrix<Scalar> whole_input(nn::Part part, const nn::Call<Scalar>& call, const Buffers& memory,
                                  ConstMatrix<Scalar> x) const;
  void reduce_nodes(const nn::Call<Scalar>& call, const Buffers& memory, Matrix<Scalar> dx) const;

  TensorAxis<Scalar>& axis_;
  std::unique_ptr<nn::Linear<Scalar>> linear_;
  index_t tokens_, leaves_ = 1;
  std::vector<Node> nodes_;  // deterministic mode: of the blocks of N that are here
};

/// y = act(sum over ranks of x W^T + b), each rank having some of the columns of x and W.
///
///     forward    the sum is an all-reduce; in sequence mode a reduce-scatter over tokens
///     backward   dy is the same on all ranks; in sequence mode all-gathered from their tokens
///
/// The bias is added once, after the sum, and every rank has all of its gradient. With overlap_chunks the rows are
/// computed part by part, each part's sum under way while the next is computed (neither in sequence nor in
/// deterministic mode). Where their number is to be measured (OverlapChoices), a product of a new shape is first tried
/// in each number of parts, in turn, which fences and allocates. Deterministic mode and the observer, which hears of no
/// trial: as ColumnParallelLinear, over the blocks of K; tag scatter-tokens in sequence mode.
template <class Scalar>
class RowParallelLinear final : public nn::Unit<Scalar> {
 public:
  RowParallelLinear(nn::Tables& tables, const std::string& name, const nn::LinearShape& shape,
                    TensorAxis<Scalar>& axis);

  nn::PassFlop flop(index_t B) const override { return linear_->flop(B); }
  nn::Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return activation_ == kernels::Activation::identity; }
  bool communicates() const override { return true; }
  index_t moments() const override { return 3 + 2 * axis_.overlap().most(); }
  void visit(const std::function<void(nn::Unit<Scalar>&)>& f) override;

  void forward(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward(nn::Half half, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  using Real = nn::Sum<Scalar>;
  struct Buffers {
    Matrix<Scalar> y;        // of all tokens, or its gradient: sequence mode
    Vector<Scalar> staging;  // sequence mode
    Vector<Real> nodes, sum;
  };
  Buffers cut(nn::Cutter& workspace, index_t B) const;
  void forward_in_chunks(index_t chunks, const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  OverlapTiming measure(const nn::Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const;
  void complete(const nn::Call<Scalar>& call, Matrix<Scalar> y) const;
  void complete(const nn::Call<Scalar>& call, ConstVector<Real> sum, Matrix<Scalar> y) const;
  // Bytes of the gradient of all tokens' outputs: kept from one half of backward to the other.
  std::size_t gathered_bytes(index_t B) const;

  TensorAxis<Scalar>& axis_;
  kernels::Activation activation_;
  std::unique_ptr<nn::Linear<Scalar>> linear_;
  index_t tokens_, all_K_, leaves_;  // all_K_: of all ranks
  std::vector<Node> nodes_;          // deterministic mode: of the blocks of K that are here
};

}  // namespace partita::parallel
