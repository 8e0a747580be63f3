// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/types.hpp>

namespace partita::kernels {

/// A local step of elastic averaging: a spring between a worker's weights x and the centre c, as it was seen last.
///
///     e = alpha (x - c)      x <- x - rate g - e
///
/// Shapes   g (n)   c (n)   x (n), updated in place   ->   e (n), overwritten: what moves the centre.
/// Runs     enqueued on exec; no fence, no allocation. float and double.
/// Throws   ShapeError when an extent differs.
/// Cost     3 n reads, 2 n writes, 5 n flop.
/// Bits     element by element.
/// Source   Zhang, Choromanska, LeCun, "Deep learning with elastic averaging SGD", NIPS 2015, (2) and (3).
template <class Real>
void elastic_step(const Exec& exec, double rate, double alpha, std::type_identity_t<ConstVector<Real>> g,
                  std::type_identity_t<ConstVector<Real>> c, Vector<Real> x, std::type_identity_t<Vector<Real>> e);

}  // namespace partita::kernels
