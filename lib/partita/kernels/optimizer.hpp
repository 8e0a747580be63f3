// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>

namespace partita::kernels {

enum class Optimizer { sgd, adagrad, adam, adamw };

std::string_view name(Optimizer kind);

/// PyTorch's names, rules and defaults. weight_decay w is the L2 kind, g <- g + w p before anything else, except in
/// adamw, where it is decoupled.
///   sgd       m <- momentum m + g (m = g at the first step);   p <- p - rate m        (p - rate g when momentum = 0)
///   adagrad   v <- v + g^2;   p <- p - rate g / (sqrt(v) + epsilon)
///   adam      m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2;
///             p <- p - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon),   t = 1 at the first step
///   adamw     p <- p - rate w p, then as adam with w = 0
///
/// Source   Duchi et al. 2011; Kingma and Ba 2015; Loshchilov and Hutter 2019; torch.optim documentation.
struct OptimizerOptions {
  Optimizer kind = Optimizer::sgd;
  double momentum = 0;      ///< sgd
  double beta1 = 0.9;       ///< adam, adamw
  double beta2 = 0.999;     ///< adam, adamw
  double epsilon = 1e-8;    ///< adam, adamw; PyTorch's adagrad has 1e-10
  double weight_decay = 0;  ///< PyTorch's adamw has 1e-2
};

/// What changes from step to step, kept in device memory, so that a captured step needs no new arguments.
struct OptimizerState {
  index_t step = 0;  ///< updates begun: optimizer_advance adds one
  double learning_rate = 0;
  double first_correction = 1;   ///< 1 - beta1^step
  double second_correction = 1;  ///< 1 - beta2^step
  double unscale = 1;            ///< gradients are multiplied by it: 1 over the loss scale (loss_scale_update)
  double clip = 1;               ///< and by this (optimizer_clip)
  std::int64_t skip = 0;         ///< not 0: this step changes nothing (loss_scale_update)
};

using OptimizerStateView = Kokkos::View<OptimizerState, Memory>;

/// How many buffers as long as the parameters the rule needs: 0, 1 or 2. They start as zeros. One buffer: sgd's is `m`,
/// adagrad's is `v`; the other may be empty.
index_t optimizer_buffers(const OptimizerOptions& options);
bool optimizer_needs_m(const OptimizerOptions& options);
bool optimizer_needs_v(const OptimizerOptions& options);

/// state.learning_rate = rate. Enqueued on exec; no fence, no allocation.
void optimizer_set_learning_rate(const Exec& exec, double rate, OptimizerStateView state);

/// state.step += 1, and the bias corrections of that step: once before the updates of a step.
/// Nothing in a step that is skipped. Enqueued on exec; no fence, no allocation.
void optimizer_advance(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state);

/// state.clip = min(1, max_norm / (norm + 1e-6)), norm = state.unscale sqrt(sum): clipping as clip_by_norm does it, but
/// in the optimizer's own pass over memory. Nothing in a step that is skipped. After loss_scale_update, before
/// optimizer_update; every step anew.
///
/// Shapes   sum () = norm_total of all gradients, as they are in memory.
/// Runs     enqueued on exec; no fence, no allocation.
void optimizer_clip(const Exec& exec, double max_norm, Kokkos::View<const double, Memory> sum,
                    OptimizerStateView state);

/// norm = state.unscale sqrt(sum): the gradient's length without loss scale, before clipping, for the record. What is
/// not finite shows, in a step that is skipped too. After loss_scale_update.
///
/// Shapes   sum () = norm_total of all gradients, as they are in memory; state empty: these have no scale.
/// Runs     enqueued on exec; no fence, no allocation.
void gradient_norm(const Exec& exec, Kokkos::View<const double, Memory> sum,
                   Kokkos::View<const OptimizerState, Memory> state, Kokkos::View<double, Memory> norm);

/// g *= factor state.unscale: a gradient without its loss scale, to be added to those of others. After
/// loss_scale_update.
///
/// Shapes   state ()   ->   g (n), updated in place. Real is float or double.
/// Runs     enqueued on exec; no fence, no allocation.
template <class Real>
void unscale_gradient(const Exec& exec, double factor, Kokkos::View<const OptimizerState, Memory> state,
                      Vector<Real> g);

/// One step of the rule over a range, in one pass over memory. The gradient is g state.unscale state.clip.
///
/// Shapes   state ()   g (n)   ->   p (n)   m (n)   v (n), updated in place; g is left as it was.
/// Runs     enqueued on exec; reads step and rate from device memory; no fence, no allocation.
/// Throws   ShapeError when an extent differs or a needed buffer is absent.
/// Cost     cost::optimizer_update.
/// Bits     element by element: any division of the range gives the same.
template <class Scalar>
void optimizer_update(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state,
                      std::type_identity_t<ConstVector<Scalar>> g, Vector<Scalar> p,
                      std::type_identity_t<Vector<Scalar>> m, std::type_identity_t<Vector<Scalar>> v);

/// The same for models stored in 16 bits: gradients are sums in float, as are master weights and state; the model's
/// copy of the weights, rounded from the master, is written in the same pass (left alone in a step that is skipped).
///
/// Shapes   as above; copy (n), overwritten. Storage is bfloat16 or float16.
/// Cost     cost::optimizer_update_mixed.
template <class Storage>
void optimizer_update(const Exec& exec, const OptimizerOptions& options, OptimizerStateView state, ConstVector<float> g,
                      Vector<float> p, Vector<float> m, Vector<float> v, Vector<Storage> copy);

}  // namespace partita::kernels
