// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels {

/// How a class is drawn from scores.
struct SampleOptions {
  double temperature = 1;  ///< p(v) is proportional to exp(z(v) / temperature); 0: the largest score
  std::uint64_t seed = 1;
  std::uint64_t draw = 0;  ///< number of the draw of row 0; the next row's is one more
};

/// Draws a class of each row by the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): the v of the largest
///
///     key(b, v) = z(b, v) / temperature - log(-log u),   u uniform in (0, 1), or z(b, v) at temperature 0
///
/// is distributed as softmax(z / temperature) is. u is a function of (seed, draw + b, v) alone, so that of classes that
/// are shared out each slice finds its best, and the best of those is the best of all.
///
/// vocabulary   which of vocabulary.global classes the columns are; `below`: those from there on are not drawn.
/// Shapes   logits (B, vocabulary.extent)   ->   best (B) = max_v key(b, v), -infinity where there is none; which (B) =
///          the first v that has it, -1 where there is none. Both overwritten.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError naming the operand and both extents.
/// Bits     a row depends on itself alone; log is the platform's.
template <class Scalar>
void sample(const Exec& exec, const SampleOptions& options, const Slice& vocabulary, index_t below,
            ConstMatrix<Scalar> logits, Vector<double> best, Vector<index_t> which);

}  // namespace partita::kernels
