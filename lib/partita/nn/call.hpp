// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>
#include <partita/nn/destination.hpp>
#include <partita/nn/observer.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn {

/// What a pass works with, beside its rows: who computes, which version of the weights is read, where gradients go,
/// which rows and tokens of the whole these are, who watches, and the memory of the slot.
template <class Scalar>
struct Call {
  kernels::Context& context;
  const Window<const Scalar>& weights;  ///< looked at anew by every unit: Progress::reading may have moved it
  Window<const Sum<Scalar>> running;    ///< running statistics, read when not training
  Observer& observer;

  ConstMatrix<std::int32_t> tokens = {};  ///< (B, T): the input of a model that begins with an embedding
  index_t past = 0;  ///< tokens that went through the model before these: its units of tokens are at [past, past + T)
  bool training = true;    ///< batch statistics and dropout; else running statistics and no dropout
  bool replay = false;     ///< a forward that was done before: the observer is told
  std::uint64_t seed = 1;  ///< of dropout, which depends on (seed, unit's name, step, global row, column) alone
  std::uint64_t step = 0;
  Slice rows = {};  ///< of the global batch

  /// backward_weights: where weight gradients go, looked at anew by every unit ...
  const Destination<Sum<Scalar>>* gradients = nullptr;
  /// ... and batch statistics, times rows.extent / rows.global: sums like gradients.
  Destination<Sum<Scalar>> statistics = {};

  Moment at = {};                    ///< what the observer is told: stage, micro-batch, piece
  index_t piece_of_micro_batch = 0;  ///< its place in the slot
  std::byte* saved = nullptr;        ///< the unit's block of the slot: from forward to backward_weights
  std::byte* pending = nullptr;    ///< gradients from backward_input to backward_weights; null: the halves run together
  std::byte* workspace = nullptr;  ///< nothing in it outlives the call
};

}  // namespace partita::nn
