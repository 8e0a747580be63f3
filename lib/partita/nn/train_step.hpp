// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/exchange.hpp>
#include <partita/nn/gradient_pass.hpp>
#include <partita/nn/update.hpp>

namespace partita::nn {

/// One step of training, whatever the strategy:
///
///     weights (Exchange) -> GradientPass -> finish (Exchange) -> Update -> publish (Exchange)
///
/// It knows no replica and no deterministic mode. Parts are plugged in and must outlive it.
template <class Scalar>
class TrainStep {
 public:
  /// update   null where somebody else updates the weights (a server).
  TrainStep(kernels::Context& context, const GradientPass<Scalar>& pass, Exchange<Scalar>& exchange,
            const Update<Scalar>* update, std::uint64_t seed = 1)
      : context_(context), pass_(pass), exchange_(exchange), update_(update), seed_(seed) {}

  /// Shapes   batch: this rank's rows   ->   losses (pieces), norm (), overwritten; norm is left alone without an
  ///          update.
  /// Runs     enqueued, but for what the exchange waits for; collective where the exchange is; allocates nothing.
  void run(const Batch<Scalar>& batch, index_t step, Vector<double> losses, Kokkos::View<double, Memory> norm,
           Observer& observer);

 private:
  kernels::Context& context_;
  const GradientPass<Scalar>& pass_;
  Exchange<Scalar>& exchange_;
  const Update<Scalar>* update_;
  std::uint64_t seed_;
};

}  // namespace partita::nn
