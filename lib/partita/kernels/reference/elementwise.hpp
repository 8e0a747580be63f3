// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/kernels/activation.hpp>

namespace partita::kernels::reference {

/// dz = dy act'(z) from y = act(z).
template <class Scalar>
std::vector<Scalar> activation_backward(Activation activation, const std::vector<Scalar>& y, std::vector<Scalar> dy) {
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] *= activate_slope(activation, y[i]);
  return dy;
}

}  // namespace partita::kernels::reference
