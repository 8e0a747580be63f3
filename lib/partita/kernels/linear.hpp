// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/tree.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/blocks.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/store.hpp>

// Fully connected layer. Matrices are row-major; rows may be padded (stride(0) > extent(1)): parts of a buffer work.
// Scalar (float, double, bfloat16 or float16) is named, linear_backward_weights<float>(...), or told by an output of
// Scalar: give a subview its type, Matrix<float>(Kokkos::subview(...)).

namespace partita::kernels {

/// The activation, and how sums are cut. What is cut (leaves > 1) is portable, whatever the context says.
struct LinearOptions {
  Activation activation = Activation::identity;  ///< of linear_forward
  Blocks inputs = {};                            ///< linear_forward sums over K
  Blocks outputs = {};                           ///< linear_backward_input sums over N; qkv's N is (3, H, D): {H, 3}
  index_t tokens = 1;                            ///< linear_backward_weights sums over rows: (samples, tokens)
  index_t token_blocks = 1;                      ///< leaves over tokens: see TokenBlocks
};

/// y = act(x W^T + b).
///
/// Shapes   x (B, K)   W (N, K)   b (N) or empty: left out   ->   y (B, N), overwritten; any extent may be 0.
/// Runs     enqueued on context.exec(); no fence; allocates only at the first call with a shape.
/// Throws   ShapeError naming the operand and both extents, or a sum that cannot be cut so.
/// Cost     cost::linear_forward.
/// Bits     portable: y(b, n) is an fma chain over ascending k from 0, or the tree of such chains that options.inputs
///          says, then + b(n), then act, in accumulate_t<Scalar>, rounded to 16 bits once: it depends on x(b, :),
///          W(n, :) and b(n) alone.
template <class Scalar>
void linear_forward(Context& context, const LinearOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y);

/// dx = dy W, where dy is the gradient before the activation (see activation_backward).
///
/// Shapes   dy (B, N)   W (N, K)   ->   dx (B, K), overwritten.
/// Runs     as linear_forward.
/// Cost     cost::linear_backward_input.
/// Bits     portable: dx(b, k) is an fma chain over ascending n from 0, or the tree that options.outputs says; it
///          depends on dy(b, :) and W(:, k) alone.
template <class Scalar>
void linear_backward_input(Context& context, const LinearOptions& options, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx);

/// dW = dy^T x,  db = sum_b dy(b, :); with Store::accumulate what was there and these.
///
/// Shapes   x (B, K)   dy (B, N)   ->   dW (N, K)   db (N) or empty: left out; accumulate_t<Scalar>; overwritten (zeros
///          for B = 0), or added to.
/// Runs     as linear_forward.
/// Cost     cost::linear_backward_weights.
/// Bits     portable: dW(n, k) is an fma chain, db(n) a chain of additions (in any backend), over ascending b from 0,
///          or the tree that options.token_blocks says. What was there is added to the sum: one rounding.
template <class Scalar>
void linear_backward_weights(Context& context, const LinearOptions& options, Store store,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                             std::type_identity_t<Vector<accumulate_t<Scalar>>> db);

/// Nodes of the trees in which linear_forward and linear_backward_input end where their sums are cut: what a rank that
/// holds some of the leaves can add up. options.inputs and options.outputs say how the part that is here is cut; node
/// counts its leaves from 0. Leaves of a part are leaves of the whole: a run of partition(N, leaves, .) is a partition.
///
/// Shapes   x (B, K)   W (N, K)   ->   y (B, N);   dy (B, N)   W (N, K)   ->   dx (B, K);   both accumulate_t<Scalar>,
///          overwritten; without bias and activation: linear_complete adds them.
/// Runs     as linear_forward; portable in any mode.
/// Throws   ShapeError as linear_forward; for a node that is not of the leaves.
/// Cost     cost::linear_forward, cost::linear_backward_input of the node's share.
/// Bits     those of the node in the whole sum.
template <class Scalar>
void linear_forward_node(Context& context, const LinearOptions& options, Node node,
                         std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> W,
                         std::type_identity_t<Matrix<accumulate_t<Scalar>>> y);
template <class Scalar>
void linear_backward_input_node(Context& context, const LinearOptions& options, Node node,
                                std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<ConstMatrix<Scalar>> W,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dx);

/// y = act(sums + b): what is left to do to a sum that several have added up.
///
/// Shapes   sums (B, N) of Scalar or accumulate_t<Scalar>   b (N) or empty   ->   y (B, N), overwritten; may be sums.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Bits     as the end of linear_forward: 16 bits are rounded once.
template <class Scalar, class In>
void linear_complete(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<In>> sums,
                     std::type_identity_t<ConstVector<Scalar>> b, std::type_identity_t<Matrix<Scalar>> y);

}  // namespace partita::kernels
