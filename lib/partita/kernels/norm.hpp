// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/context.hpp>

namespace partita::kernels {

/// sum = g_0^2 + g_1^2 + ..., in double.
///
/// Shapes   g (n)   ->   sum (), overwritten; 0 for n = 0. Add the sums of several ranges for their common norm.
/// Runs     enqueued on context.exec(); no fence; scratch of n / 4096 doubles from the context.
/// Cost     cost::norm_squared.
/// Bits     chunks of 4096 elements; in a chunk 32 lanes (lane l adds l, l + 32, ...), joined by a binary tree; chunks
///          in ascending order. A function of g alone, whatever the threads. An infinity or NaN in g shows in sum;
///          finite elements of any type but double give a finite sum.
template <class Scalar>
void norm_squared(Context& context, std::type_identity_t<ConstVector<Scalar>> g, Kokkos::View<double, Memory> sum);

/// g *= min(1, max_norm / (sqrt(sum) + 1e-6)), PyTorch's clip_grad_norm_; a norm that is NaN makes g NaN.
///
/// Shapes   sum () = norm_squared of all that is clipped together   ->   g (n), updated in place.
/// Runs     enqueued on exec; no fence, no allocation; leaves g untouched where the factor is 1. To save the pass over
///          memory let the optimizer do it: optimizer_clip.
/// Cost     cost::clip_by_norm.
template <class Scalar>
void clip_by_norm(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum, Vector<Scalar> g);

/// min(1, max_norm / (norm + 1e-6)).
KOKKOS_INLINE_FUNCTION double clip_factor(double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;  // NaN stays
}

}  // namespace partita::kernels
