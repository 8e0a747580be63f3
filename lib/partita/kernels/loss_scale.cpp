// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/loss_scale.hpp>

#include <string>

#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {

void loss_scale_start(const Exec& exec, const LossScaleOptions& options, LossScaleView state) {
  static const std::string label = "partita::kernels::loss_scale_start";
  LossScaleState* const at = state.data();
  const double initial = options.initial;
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) {
        *at = {initial, 0, 0};
      });
}

Kokkos::View<const double, Memory> loss_scale_value(LossScaleView state) {
  return Kokkos::View<const double, Memory>(&state.data()->scale);
}

void loss_scale_update(const Exec& exec, const LossScaleOptions& options, Kokkos::View<const double, Memory> sum,
                       LossScaleView scaling, OptimizerStateView optimizer) {
  static const std::string label = "partita::kernels::loss_scale_update";
  LossScaleState* const now = scaling.data();
  OptimizerState* const step = optimizer.data();
  const double* const squares = sum.data();
  const LossScaleOptions rule = options;
  Kokkos::parallel_for(
      label, backend::range_policy(exec, 1), KOKKOS_LAMBDA(index_t) {
        const bool finite = Kokkos::isfinite(*squares);
        step->unscale = 1 / now->scale;
        step->skip = finite ? 0 : 1;
        if (!finite) {
          now->scale *= rule.backoff_factor;
          now->good_steps = 0;
          now->skipped += 1;
        } else if (++now->good_steps >= rule.growth_interval) {
          const double grown = now->scale * rule.growth_factor;
          now->scale = Kokkos::isfinite(float(grown)) ? grown : now->scale;
          now->good_steps = 0;
        }
      });
}

}  // namespace partita::kernels
