// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/store.hpp>
#include <partita/nn/window.hpp>

namespace partita::nn {

/// Where sums over a batch are put, and whether they replace what is there or are added to it.
template <class Real>
struct Destination : Window<Real> {
  kernels::Store store = kernels::Store::overwrite;

  Destination() = default;
  Destination(const Window<Real>& to, kernels::Store how) : Window<Real>(to), store(how) {}
};

}  // namespace partita::nn
