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
  std::uint64_t layer = 0;  ///< each dropout of a model has its own
  std::uint64_t step = 0;   ///< forward and backward of a step are given the same
  index_t first = 0;        ///< global index of the operand's first element
};

/// y_i = x_i k_i / (1 - rate), k_i = 1 with probability 1 - rate, else 0. Backward is the same call on dy. NaN stays.
///
/// k_i depends on (seed, layer, step, first + i) alone: one block of Philox serves four elements, 64 apart, so that a
/// vector of elements takes the same word of consecutive blocks. The probability is exact to 2^-32.
///
/// Shapes   x (n)   ->   y (n), overwritten; y may be x.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError when the lengths differ; UsageError unless 0 <= rate < 1; ShapeError when first < 0.
/// Cost     cost::dropout.
/// Source   Srivastava et al. 2014, in the form that leaves inference alone.
template <class Scalar>
void dropout(const Exec& exec, const DropoutOptions& options, std::type_identity_t<ConstVector<Scalar>> x,
             Vector<Scalar> y);

}  // namespace partita::kernels
