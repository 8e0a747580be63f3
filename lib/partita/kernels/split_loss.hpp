// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/loss.hpp>

// The cross-entropy of rows of V scores whose columns are shared out in slices, in parts: what a slice finds of a row
// is a number, and between the parts somebody makes one number of those of all slices.
//
//     loss_max        top(b)    = max_v z(b, v)                      largest over the slices
//                     target(b) = z(b, label(b))                     sum over the slices: one of them has it
//     loss_sums       sum(b)    = sum_v exp(z(b, v) - top(b))        sum over the slices
//     loss_finish     loss(b)   = log sum(b) + top(b) - target(b),   d(b, v) = exp(z(b, v) - top(b)) / sum(b) - [v = t]
//
// Labels mean what they do in loss.hpp, in all V classes: every slice is given the same ones. One slice gives the bits
// of loss_forward_backward and loss_forward; so do several whose nodes are added as the tree over blocks of V.
//
// Shapes   logits (B, columns of the slice); label, top, target, sum, ahead (B). Scalar is float, double, bfloat16 or
//          float16. A slice may have no columns.
// Throws   ShapeError naming the operand and both extents.
// Bits     a row depends on itself alone; its sums are those of loss_forward_backward.
// Source   Shoeybi et al., "Megatron-LM" (2019), section 3: fuse the output of the parallel product with the loss.

namespace partita::kernels {

/// Columns of a slice whose exponentials become one number: `leaves` blocks of them, added as a tree.
struct LossNode {
  Range columns;
  index_t leaves = 1;

  friend constexpr bool operator==(const LossNode&, const LossNode&) = default;
};

/// The numbers that a slice's exponentials become, in order: of blocks.global leaves of the sums over V
/// (LossOptions::vocabulary_blocks) the slice is those of `blocks`, and a number is one of the largest nodes that they
/// fill. Where nothing is cut (one block) it is one number, whatever the slice.
///
/// Throws   ShapeError unless the slice is those blocks.
std::vector<LossNode> loss_nodes(const Slice& vocabulary, const Slice& blocks);

/// top(b) = the largest score of the slice's columns, -infinity of none (NaN is left out); target(b) = that of the
/// label where it is one of them, else 0. Both 0 for a label that is ignored.
///
/// Shapes   logits, label   ->   top, target; both overwritten. vocabulary: which of V classes the columns are.
/// Runs     enqueued on exec; no fence.
/// Cost     cost::loss_max.
template <class Scalar>
void loss_max(const Exec& exec, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
              Vector<double> top, Vector<double> target);

/// sums(k, b) = sum of exp(z(b, v) - top(b)) over the columns v of node k, top over all slices; 0 for a label that is
/// ignored.
///
/// Shapes   logits, label, top   ->   sums (nodes, B), overwritten; dlogits as logits, which it may be, or empty: what
///          loss_finish wants to find there (float and double: the exponentials; else it is left as it is).
/// Runs     enqueued on exec; no fence.
/// Cost     cost::loss_sums.
template <class Scalar>
void loss_sums(const Exec& exec, std::span<const LossNode> nodes, ConstMatrix<Scalar> logits,
               ConstVector<std::int32_t> label, ConstVector<double> top, Matrix<double> sums,
               Matrix<Scalar> dlogits = {});

/// ahead(b) = how many of the slice's columns come before the label's and have the score top(b): the label is the
/// first of the largest when its score is top(b) and this is 0 over all slices.
///
/// Shapes   logits, label, top   ->   ahead, overwritten; 0 for a label that is none of the V classes.
/// Runs     enqueued on exec; no fence.
template <class Scalar>
void loss_ahead(const Exec& exec, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                ConstVector<double> top, Vector<double> ahead);

/// loss_sum = sum_b loss(b), the same for every slice;   dlogits = scale factor dloss(b) / dz(b, v) of its columns.
///
/// Shapes   logits, label, and top, target, sum over all slices   ->   dlogits as loss_sums left it (may be logits),
///          loss_sum (); both overwritten. factor () or empty.
/// Runs     enqueued on context.exec(); no fence; scratch of 2 B doubles from the context.
/// Cost     cost::loss_finish.
/// Bits     rows are added in ascending order, in double.
template <class Scalar>
void loss_finish(Context& context, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                 ConstVector<double> top, ConstVector<double> target, ConstVector<double> sum, double scale,
                 Matrix<Scalar> dlogits, Kokkos::View<double, Memory> loss_sum,
                 Kokkos::View<const double, Memory> factor = {});

/// loss_sum as above; correct = number of rows whose largest score (the first of equals) is the label's. All numbers
/// over all slices, of V classes. Both overwritten; all else as above.
void loss_finish(Context& context, index_t V, ConstVector<std::int32_t> label, ConstVector<double> top,
                 ConstVector<double> target, ConstVector<double> sum, ConstVector<double> ahead,
                 Kokkos::View<double, Memory> loss_sum, Kokkos::View<index_t, Memory> correct);

}  // namespace partita::kernels
