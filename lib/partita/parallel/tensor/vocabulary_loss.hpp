// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <vector>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/kernels/split_loss.hpp>
#include <partita/nn/loss_head.hpp>

namespace partita::parallel {

/// The cross-entropy of scores whose classes are shared out over the ranks of an axis: no rank ever has a row's scores.
/// Three numbers a label are all-reduced:
///
///     m = max_v z_v,   s = sum_v exp(z_v - m),   z_t of the target   ->   loss = log s + m - z_t,
///     dz_v = scale factor (exp(z_v - m) / s - [v = t])               of this rank's classes
///
/// Shapes   y, dy (B, labels x classes of the slice), label and loss terms as nn::LossHead says, the same on all ranks.
/// Runs     run and evaluate are collective over the axis, and fence before each all-reduce. What a number of labels
///          needs is planned at the first call with it, and kept: later ones allocate nothing.
/// Traffic  numbers of 8 bytes, n labels. run: three all-reduces of n numbers (closed_forms::ring_allreduce_bytes: over
///          the t ranks of a ring 2 (t-1) 24 n bytes, 2 (t-1)/t 24 of a label and rank), operation "allreduce". In
///          deterministic mode the third is one of tree nodes (closed_forms::tree_allreduce_{mpi,ring}_bytes),
///          "tree_allreduce". evaluate: one all-reduce more. One rank sends nothing.
/// Bits     deterministic mode: those of nn::WholeRows with as many blocks, on any number of ranks. Maxima, target
///          scores and hits are exact in any order.
/// Source   Shoeybi et al., "Megatron-LM" (2019), section 3.
template <class Scalar>
class VocabularyParallelLoss final : public nn::LossHead<Scalar> {
 public:
  /// `output` has the classes of all ranks, V; `vocabulary` is this rank's part of them: ranks have adjacent ones, in
  /// their order. `blocks` are leaves of the sums over V; one: fast mode; else the part is those of
  /// partition(blocks, ranks, rank). axis must outlive this.
  ///
  /// Throws   UsageError for another loss than cross_entropy; ShapeError for a slice that is none of V, or not those
  ///          blocks.
  VocabularyParallelLoss(const comm::Communicator& axis, comm::Allreduce how, kernels::Loss loss,
                         nn::OutputShape output, const Slice& vocabulary, index_t blocks = 1);

  void run(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label, double scale,
           Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
           Kokkos::View<double, Memory> sum) const override;
  void evaluate(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                Kokkos::View<double, Memory> sum, Kokkos::View<index_t, Memory> correct) const override;
  nn::OutputShape output() const override { return output_; }

 private:
  /// Of n labels.
  struct Plans {
    Vector<double> top, target, sum, ahead;
    Matrix<double> nodes;                                   // (numbers that this rank's exponentials become, n)
    std::unique_ptr<comm::AllreducePlan<double>> max, add;  // one rank: none
    std::unique_ptr<comm::TreeAllreducePlan<double>> tree;  // deterministic mode
  };
  Plans make_plans(index_t n) const;
  const Plans& plans(index_t n) const;
  /// One row for each label, once that is what they are.
  template <class Matrix>
  Matrix rows(const char* name, const Matrix& scores, index_t labels) const;
  /// What needs no gradient: top, target and sum of all ranks.
  const Plans& reduce(const Exec& exec, ConstMatrix<Scalar> z, ConstVector<std::int32_t> label,
                      Matrix<Scalar> dz) const;

  const comm::Communicator& axis_;
  comm::Allreduce how_;
  nn::OutputShape output_;
  Slice vocabulary_;
  index_t blocks_;
  std::vector<kernels::LossNode> nodes_;
  mutable std::map<index_t, Plans> kept_;
};

}  // namespace partita::parallel
