// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/types.hpp>
#include <partita/kernels/optimizer.hpp>

namespace partita::kernels {

/// running = (1 - momentum) running + momentum sum: batch norm's running statistics move once a step, towards what its
/// micro-batches and ranks added up. Nothing in a step that is skipped: one infinite pixel does not stay for good.
///
/// Shapes   state ()   sum (n)   ->   running (n), updated in place.
/// Runs     enqueued on exec, after loss_scale_update where there is a loss scale; no fence, no allocation.
/// Throws   ShapeError when the lengths differ.
/// Cost     cost::statistics_update.
/// Bits     element by element, in double and rounded once, as batchnorm2d_forward did it in its own pass.
template <class Real>
void statistics_update(const Exec& exec, double momentum, Kokkos::View<const OptimizerState, Memory> state,
                       std::type_identity_t<ConstVector<Real>> sum, Vector<Real> running);

}  // namespace partita::kernels
