// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <partita/kernels/optimizer.hpp>

// Dynamic loss scaling: gradients in fp16 are computed from a loss that is multiplied by a large factor, so that small
// ones do not vanish; the optimizer divides it out. A step whose gradients overflowed is skipped and halves the factor;
// many good steps in a row double it. A skipped step moves the scale alone: no parameter, state of a rule, step number
// or running statistic. A step without loss scaling (fp32, bf16) leaves loss_scale_update out and skips nothing: a
// gradient that is not finite shows in the norm and in the weights. All of it is in device memory: no step waits for a
// number. The order of a step:
//
//     loss_forward_backward(..., loss_scale_value(scaling))      the gradient, scaled
//     backward, all-reduce; norm_squared, norm_total             not finite: a gradient overflowed
//     loss_scale_update                                          decides; tells the rest of the step
//     gradient_norm                                              for the record
//     optimizer_clip (optional), optimizer_advance, optimizer_update, statistics_update
//
// Source   Micikevicius et al., "Mixed precision training", ICLR 2018; names and defaults are torch.amp.GradScaler's.

namespace partita::kernels {

struct LossScaleOptions {
  double initial = 65536;
  double growth_factor = 2;
  double backoff_factor = 0.5;
  index_t growth_interval = 2000;  ///< good steps in a row before the scale grows
};

struct LossScaleState {
  double scale = 1;
  index_t good_steps = 0;  ///< since the scale last changed
  index_t skipped = 0;     ///< steps, in all
};

using LossScaleView = Kokkos::View<LossScaleState, Memory>;

/// state = {options.initial, 0, 0}. Enqueued on exec; no fence, no allocation.
void loss_scale_start(const Exec& exec, const LossScaleOptions& options, LossScaleView state);

/// The scale in device memory, to be given to loss_forward_backward; valid as long as `state` lives.
Kokkos::View<const double, Memory> loss_scale_value(LossScaleView state);

/// After a backward pass: optimizer.unscale = 1 / scale, optimizer.skip = not finite(sum); then the scale of the next
/// step: x backoff_factor after a step that is skipped, x growth_factor after growth_interval good ones in a row,
/// unless a float could not hold it.
///
/// Shapes   sum () = norm_total of all gradients of all ranks   ->   scaling (), optimizer (), updated.
/// Runs     enqueued on exec; no fence, no allocation.
void loss_scale_update(const Exec& exec, const LossScaleOptions& options, Kokkos::View<const double, Memory> sum,
                       LossScaleView scaling, OptimizerStateView optimizer);

}  // namespace partita::kernels
