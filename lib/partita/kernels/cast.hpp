// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels {

/// b = To(a), each element rounded once, to nearest, ties to even; beyond To's range to infinity.
///
/// Shapes   a (n)   ->   b (n), overwritten; they must not overlap. To and From are named by the caller, any two of
///          float, double, bfloat16 and float16: cast<bfloat16, float>(exec, a, b).
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError when the lengths differ.
/// Cost     cost::cast.
template <class To, class From>
void cast(const Exec& exec, std::type_identity_t<ConstVector<From>> a, std::type_identity_t<Vector<To>> b);

}  // namespace partita::kernels
