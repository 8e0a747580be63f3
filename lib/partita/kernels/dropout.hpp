// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels {

/// What decides which elements are kept: never a rank, a thread or where an operand lies.
struct DropoutOptions {
  double rate = 0;          ///< share of elements that become zero, in [0, 1)
  std::uint64_t seed = 0;   ///< of the run
  std::uint64_t layer = 0;  ///< name_key of the unit, below 2^56 - 1: each dropout of a model has its own
  std::uint64_t step = 0;   ///< forward and backward of a step, and a replay, are given the same
  Slice rows = {};          ///< the operand's rows among all samples
  Slice columns = {};       ///< its columns among a sample's: tokens [t, t + n) of T are {t C, n C, T C}
};

/// y(r, c) = x(r, c) k / (1 - rate), k = 1 with probability 1 - rate, else 0. Backward is the same call on dy. NaN
/// stays.
///
/// k depends on (seed, layer, step, i) alone, i = (rows.offset + r) columns.global + columns.offset + c the element's
/// global index: whoever holds an element drops it or keeps it. The probability is exact to 2^-32.
///
///     key   = the first 64 bits of Philox{counter (step, substream(dropout, layer)), key seed}
///     word  = word i mod 256 / 64 of Philox{counter (64 (i / 256) + i mod 64, dropout), key key}: kept unless below
///             2^32 rate. One block serves four elements, 64 apart: a vector of elements takes the same word of
///             consecutive blocks.
///
/// Step and layer are different words of one counter, and Philox is a bijection of its counters: no step of a layer
/// shares its block with a step of another. Keys are half a block; of n of them some two are equal with probability
/// n^2 / 2^65 (10^-4 for a hundred layers and 5 10^5 steps), and these two would then draw one mask.
///
/// Shapes   x (rows.extent, columns.extent)   ->   y (the same), overwritten; y may be x. Rows may lie apart.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError when an extent differs or a slice is not within its global extent; UsageError unless
///          0 <= rate < 1 and layer is below 2^56 - 1.
/// Cost     cost::dropout. Fastest where rows are whole and lie side by side, or are long: 256 elements are drawn at
///          once, and a row that is cut from the middle of them pays for all.
/// Source   Srivastava et al. 2014, in the form that leaves inference alone.
template <class Scalar>
void dropout(const Exec& exec, const DropoutOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
             Matrix<Scalar> y);

}  // namespace partita::kernels
